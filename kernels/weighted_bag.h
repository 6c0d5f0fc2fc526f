// Weighted sums of table rows: y[m] = sum_j weights[m, j] * values[slots[m, j]].
// values: [N, D] f32 or bf16; slots: [M, J] i32; weights: [M, J]; y: [M, D]. N * D may pass 2^31.
#pragma once

#include "kernels/dispatch.h"

namespace slotwise::kernels {

struct WeightedBagForward {
  Tensor y;
  Tensor values;
  Tensor slots, weights;
};
SLOTWISE_OP(weighted_bag_forward, WeightedBagForward)

// dweights[m, j] = dot(dy[m], values[slots[m, j]]).
struct WeightedBagBackwardWeights {
  Sink dweights;
  Tensor dy;
  Tensor values;
  Tensor slots;
};
SLOTWISE_OP(weighted_bag_backward_weights, WeightedBagBackwardWeights)

// dvalues[s] (+)= sum over accesses of s of weight * dy, dense [N, D]. The accesses are sorted by
// slot and each row is summed by one owner in the order of the accesses: same bits in every run.
// With `touched` [N] u8 a row of dvalues that is touched is added to, another one that is reached
// is overwritten and marked, and the rest are left alone: no pass over the table.
struct WeightedBagBackwardValues {
  Sink dvalues;
  Tensor dy;
  Tensor slots, weights;
  Tensor touched = {};  // optional; needs dvalues.accumulate
};
SLOTWISE_OP(weighted_bag_backward_values, WeightedBagBackwardValues)

// The same for chosen rows only: row_of_slot [N] i32 holds the row in `gradient` [t, D], or -1.
// The cost depends on the accesses, not on N. Call once per kept piece, in a fixed order,
// accumulating.
struct SelectedRowGradient {
  Sink gradient;
  Tensor dy;
  Tensor slots, weights;
  Tensor row_of_slot;
};
SLOTWISE_OP(selected_row_gradient, SelectedRowGradient)

}  // namespace slotwise::kernels
