// Output head and cross-entropy in one: logits exist for one chunk of rows at a time, and only for
// tokens that have a target. Gradients are made in the forward while a chunk's logits are at hand.
#pragma once

#include "core/variable.h"

namespace slotwise {

// Which tokens carry loss, computed once on the host per batch.
struct LossTargets {
  Tensor rows;                                                    // [n] i32: tokens with a target
  Tensor targets;                                                 // [n] i32
  static LossTargets from(const Tensor& targets, Device device);  // [...] i32 on the CPU, -1: none
  std::int64_t count() const { return rows.size(0); }
};

// sum of the losses / divisor, as [1]. hidden: [tokens, C]; head: [V, C]. The divisor is the number
// of valid tokens of the whole optimizer batch, so that micro-batches of unequal length add up to
// the true mean.
Variable language_model_loss(const Variable& hidden, const Variable& head,
                             const LossTargets& targets, double divisor);

// Loss of each valid token, [n], without gradients.
Tensor token_losses(const Tensor& hidden, const Tensor& head, const LossTargets& targets);

}  // namespace slotwise
