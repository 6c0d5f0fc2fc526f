// Sums of weighted source rows into the rows of a table, the backward of every gather:
//   out[rows[i]] (+)= sum over the terms i of that row of weights[i] * sources[i / per_source].
// The terms are radix-sorted by row (stable) and cut into chunks of equal length, so a row that is
// hit often is shared by many blocks and none waits for the hottest. What a chunk holds whole it
// writes; a run that crosses its ends leaves a partial sum, and the partial sums, still sorted, are
// the terms of the next, far shorter round. Orders and cuts depend on the number of terms alone:
// same bits in every run and on every GPU, and no size has to come back to the host.
#pragma once

#include "kernels/cuda/launch.h"

namespace slotwise::kernels::cuda {

struct RowTerms {
  const std::uint32_t* rows = nullptr;  // [count], 0 .. rows of out; the latter: left out
  std::int64_t count = 0;               // < 2^31
  std::int64_t per_source = 1;
  const float* weights = nullptr;  // [count]; null: all 1
  const float* sources = nullptr;  // rows of D
};

// out: [rows, D] f32. touched [rows], optional: see WeightedBagBackwardValues.
void sum_rows_by_segment(const char* op, const RowTerms& terms, const Sink& out,
                         std::uint8_t* touched = nullptr);

}  // namespace slotwise::kernels::cuda
