// Optimizer steps on whole tensors, fp32, fused: one pass over parameter, gradient and state.
// AdamW (Loshchilov & Hutter 2019): decoupled decay; step counts from 1; bias correction as in the
// paper. gradient_scale [1], optional: the clip factor, applied to the gradient as it is read;
// where it is NaN the step is left out and nothing changes.
#pragma once

#include <vector>

#include "kernels/dispatch.h"

namespace slotwise::kernels {

// A table [N, D] of which a step reaches a part: `touched` [N] u8 marks the rows whose gradient is
// there; the others' is 0 and is not read. `live` [N] u8 (with touched, without decay) marks rows
// whose moments may differ from 0, and touched rows join it; the others would not move and are
// skipped. The result is the dense step's, bit for bit.
struct AdamW {
  Tensor parameter, first_moment, second_moment;  // updated
  Tensor gradient;
  Tensor touched, live;   // optional
  Tensor gradient_scale;  // optional
  float learning_rate = 0.0f;
  float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
  float weight_decay = 0.0f;
  std::int64_t step = 1;
};
SLOTWISE_OP(adamw, AdamW)

// The same for many tensors, on a GPU in one launch but for tables with `touched`.
struct AdamWAll {
  std::vector<AdamW> steps;
};
SLOTWISE_OP(adamw_all, AdamWAll)

// p -= lr * (g + decay * p); with momentum: m = momentum * m + g, p -= lr * m (PyTorch's form).
struct Sgd {
  Tensor parameter;
  Tensor velocity;  // optional: needed when momentum > 0
  Tensor gradient;
  Tensor gradient_scale;  // optional
  float learning_rate = 0.0f;
  float momentum = 0.0f;
  float weight_decay = 0.0f;
};
SLOTWISE_OP(sgd, Sgd)

// sums[g] = sum of the squares of all parts of group g, each part summed in double; 0 without
// parts.
struct SquaredNorms {
  Tensor sums;  // [G]
  struct Part {
    Tensor x;
    Tensor rows;  // [N] u8, optional: of x [N, D] only the rows marked there count
    int group = 0;
  };
  std::vector<Part> parts;
};
SLOTWISE_OP(squared_norms, SquaredNorms)

// scale[g] = min(1, max_norm / (sqrt(sums[g]) + 1e-6)), as torch.nn.utils.clip_grad_norm_; 1 with
// max_norm 0. NaN in all groups when one of the sums is not finite: no step is made of a gradient
// that holds a NaN anywhere.
struct ClipScale {
  Tensor scale;           // [G]
  Tensor sum_of_squares;  // [G]
  float max_norm = 1.0f;
};
SLOTWISE_OP(clip_scale, ClipScale)

}  // namespace slotwise::kernels
