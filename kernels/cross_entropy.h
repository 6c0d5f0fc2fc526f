// Softmax cross-entropy of rows of logits. logits: [rows, V]; targets: [rows] i32, negative: no
// loss there. losses: [rows] (0 where there is no target). With dlogits (which may be logits
// itself): dlogits = (softmax(logits) - onehot(target)) * scale, and 0 in rows without a target.
#pragma once

#include "kernels/dispatch.h"

namespace slotwise::kernels {

struct CrossEntropy {
  Tensor losses;
  Tensor dlogits;  // optional
  Tensor logits;
  Tensor targets;
  float scale = 1.0f;
};
SLOTWISE_OP(cross_entropy, CrossEntropy)

}  // namespace slotwise::kernels
