// Which slots a benchmark reads: drawn evenly, or as unevenly as trained models do. Recorded reads:
// memory/access_trace.h.
#pragma once

#include <cmath>

#include "core/random.h"

namespace slotwise::bench {

// shape i32 of slots 0 .. N - 1.
inline Tensor uniform_slots(const Shape& shape, std::int64_t N) {
  const Tensor out = Tensor::empty(shape, DType::i32);
  Random random(5, "slots");
  for (std::int32_t& slot : out.span<std::int32_t>()) {
    slot = static_cast<std::int32_t>(random.below(static_cast<std::uint64_t>(N)));
  }
  return out;
}

// Zipf-like: the top 1 % of the slots get about a fifth of the reads; hot slots lie scattered.
inline Tensor zipf_slots(const Shape& shape, std::int64_t N) {
  const Tensor out = Tensor::empty(shape, DType::i32);
  Random random(6, "slots");
  for (std::int32_t& slot : out.span<std::int32_t>()) {
    const double u = static_cast<double>(random.uniform());
    const auto rank = static_cast<std::uint64_t>(static_cast<double>(N) * std::pow(u, 2.8));
    slot = static_cast<std::int32_t>(rank * 2654435761u % static_cast<std::uint64_t>(N));
  }
  return out;
}

}  // namespace slotwise::bench
