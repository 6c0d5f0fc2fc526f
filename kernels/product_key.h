// Product-key lookup (Lample et al. 2019; SMF section 2): the exact top-k of n^2 slots from 2n half
// scores. query: [M, H, 2, h] (two halves of h = key_dim / 2); keys: [H, 2, n, h]; slots: [M, H, k]
// i32, slot = i1 * n + i2; scores, weights: [M, H, k] f32, weights = softmax over the k scores.
// Order, on every device: fp32 sum, half score s1, half score s2, all descending, then lower i1,
// lower i2. NaN scores rank below everything. Needs k <= n and n^2 <= 2^31 - 1.
#pragma once

#include "kernels/dispatch.h"

namespace slotwise::kernels {

// Selection alone, from given half scores [rows, 2, n]; slots, scores: [rows, k].
struct ProductKeySelect {
  Tensor slots;
  Tensor scores;
  Tensor half_scores;
};
SLOTWISE_OP(product_key_select, ProductKeySelect)

// weights = softmax(scores) over the last dimension.
struct SoftmaxRows {
  Tensor y;
  Tensor x;
};
SLOTWISE_OP(softmax_rows, SoftmaxRows)

// Scores, selection and softmax fused over chunks of tokens: half scores never exist for all
// tokens.
struct ProductKeyLookup {
  Tensor slots;
  Tensor weights;
  Tensor query, keys;
};
SLOTWISE_OP(product_key_lookup, ProductKeyLookup)

// From the gradient of the weights, through softmax and the chosen scores only. `slots` are what a
// lookup with these keys wrote, all in [0, n^2) by construction: the CPU checks that, CUDA does
// not.
struct ProductKeyLookupBackward {
  Sink dquery, dkeys;  // each optional
  Tensor dweights;
  Tensor slots, weights;
  Tensor query, keys;
};
SLOTWISE_OP(product_key_lookup_backward, ProductKeyLookupBackward)

}  // namespace slotwise::kernels
