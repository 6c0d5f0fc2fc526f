// Scores as unsigned integers in the same order, as on the CPU: NaN lowest, then -inf .. +inf;
// -0 equals +0.
#pragma once

#include <cstdint>

namespace slotwise::kernels::cuda {

__device__ inline std::uint32_t score_order(float score) {
  const std::uint32_t bits = __float_as_uint(score + 0.0f);
  const std::uint32_t flip = (bits >> 31) != 0 ? 0xffffffffu : 0x80000000u;
  return score == score ? bits ^ flip : 0u;
}

}  // namespace slotwise::kernels::cuda
