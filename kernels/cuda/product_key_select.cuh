// The exact top-k of the n^2 sums of two rows of half scores: one warp a row, without a list of all
// pairs. Only pairs of ranks with (r1 + 1)(r2 + 1) <= k can be chosen (why: see the CPU's
// selector). Order and sums as there.
#pragma once

#include "kernels/cuda/launch.h"

namespace slotwise::kernels::cuda {

// half_scores: [rows, 2, n]; slots, out: [rows, k]. out: the sums, or with `softmax` their weights.
struct SelectRows {
  std::int32_t* slots;
  float* out;
  const float* half_scores;
  std::int64_t rows, n, k;
  bool softmax;
};
void select_rows(const char* op, const SelectRows& args, cudaStream_t queue);

}  // namespace slotwise::kernels::cuda
