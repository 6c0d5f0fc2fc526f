#include "kernels/batch_norm.h"

#include "layers/functional/batch_norm.h"

namespace slotwise {

Variable batch_norm(const Variable& x, const Variable& gain, const Variable& bias,
                    const BatchNormState& state, const Tensor& valid, bool training) {
  const Tensor in = x.value(), g = gain.value();
  Tensor y = Tensor::empty_like(in, "activation norm");
  Tensor mean = Tensor::empty_like(g, "activation norm");
  Tensor inverse_std = Tensor::empty_like(g, "activation norm");
  // The second run of a checkpointed block must not move the running statistics again.
  const bool again = training && recomputing();
  kernels::batch_norm_forward(
      {.y = y,
       .mean = mean,
       .inverse_std = inverse_std,
       .running_mean = again ? state.running_mean.clone() : state.running_mean,
       .running_variance = again ? state.running_variance.clone() : state.running_variance,
       .x = in,
       .gain = g,
       .bias = bias.value(),
       .valid = valid,
       .training = training,
       .momentum = state.momentum,
       .epsilon = state.epsilon});
  return record("batch_norm", {x, gain, bias}, y, [=](BackwardContext& context) {
    kernels::batch_norm_backward({.dx = context.input_sink(0),
                                  .dgain = context.input_sink(1),
                                  .dbias = context.input_sink(2),
                                  .dy = context.output_grad(),
                                  .x = in,
                                  .gain = g,
                                  .mean = mean,
                                  .inverse_std = inverse_std,
                                  .valid = valid,
                                  .training = training});
  });
}

}  // namespace slotwise
