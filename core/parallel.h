// Threads on the CPU through OpenMP. The split of [0, count) depends on count, grain and the number
// of threads alone, so a result that depends on the split is the same in every run.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <exception>

#include "core/device_scope.h"

namespace slotwise {

inline int thread_count() {
  return omp_in_parallel() ? 1 : omp_get_max_threads();
}

// Calls body(begin, end, part) for contiguous parts of [0, count); at least `grain` items a part.
// Runs on the calling thread when one part is enough. What a part throws reaches the caller once
// all parts have ended (of several, the lowest part's).
template <class Body>
void parallel_for(std::int64_t count, std::int64_t grain, Body&& body) {
  if (count <= 0) return;
  const std::int64_t most = (count + grain - 1) / std::max<std::int64_t>(grain, 1);
  const int parts = static_cast<int>(std::min<std::int64_t>(thread_count(), most));
  if (parts <= 1) {
    body(std::int64_t{0}, count, 0);
    return;
  }
  std::exception_ptr error;
  int error_part = parts;
  const Device device = DeviceScope::current();
#pragma omp parallel for num_threads(parts) schedule(static, 1)
  for (int part = 0; part < parts; ++part) {
    try {
      const DeviceScope scope(device);
      body(count * part / parts, count * (part + 1) / parts, part);
    } catch (...) {
#pragma omp critical(slotwise_parallel_for_error)
      if (part < error_part) {
        error_part = part;
        error = std::current_exception();
      }
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace slotwise
