// Indices that come from data are checked before a kernel follows them: one vectorised pass, so
// that a bad token id is an error with a name and not a crash.
#pragma once

#include <cstdint>

#include "core/error.h"

namespace slotwise::kernels::cpu {

// All of indices[0, count) in [low, bound).
inline void check_indices(const char* op, const char* what, const std::int32_t* indices,
                          std::int64_t count, std::int64_t low, std::int64_t bound) {
  if (count == 0) return;
  std::int32_t least = indices[0];
  std::int32_t most = indices[0];
#pragma omp simd reduction(min : least) reduction(max : most)
  for (std::int64_t i = 0; i < count; ++i) {
    least = indices[i] < least ? indices[i] : least;
    most = indices[i] > most ? indices[i] : most;
  }
  SLOTWISE_CHECK(least >= low && most < bound, "[{}] expected {} in {}..{}, got {}", op, what, low,
                 bound - 1, least < low ? least : most);
}

}  // namespace slotwise::kernels::cpu
