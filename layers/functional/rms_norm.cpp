#include "kernels/rms_norm.h"

#include "layers/functional/rms_norm.h"

namespace slotwise {
namespace {

Tensor gain_of(const Variable& gain) {
  return gain.defined() ? gain.value() : Tensor{};
}

Tensor rows_of(const Tensor& x) {
  return Tensor::empty({x.shape().rows()}, DType::f32, x.device(), "activation norm");
}

}  // namespace

Variable rms_norm(const Variable& x, const Variable& gain, float epsilon) {
  const Tensor in = x.value(), g = gain_of(gain);
  Tensor y = Tensor::empty_like(in, "activation norm");
  Tensor inverse_rms = rows_of(in);
  kernels::rms_norm_forward(
      {.y = y, .inverse_rms = inverse_rms, .x = in, .gain = g, .epsilon = epsilon});
  return record("rms_norm", {x, gain}, y, [=](BackwardContext& context) {
    kernels::rms_norm_backward({.dx = context.input_sink(0),
                                .dgain = context.input_sink(1),
                                .dy = context.output_grad(),
                                .s = in,
                                .inverse_rms = inverse_rms,
                                .gain = g});
  });
}

NormedSum add_rms_norm(const Variable& x, const Variable& residual, const Variable& gain,
                       float epsilon) {
  const Tensor in = x.value(), g = gain_of(gain);
  Tensor y = Tensor::empty_like(in, "activation norm");
  Tensor sum = Tensor::empty_like(in, "activation residual");
  Tensor inverse_rms = rows_of(in);
  kernels::rms_norm_forward({.y = y,
                             .sum = sum,
                             .inverse_rms = inverse_rms,
                             .x = in,
                             .residual = residual.value(),
                             .gain = g,
                             .epsilon = epsilon});
  auto outputs = record("add_rms_norm", {x, residual, gain}, std::vector<Tensor>{y, sum},
                        [=](BackwardContext& context) {
                          const Sink dgain = context.input_sink(2);
                          Tensor dsum =
                              context.has_output_grad(1) ? context.take_output_grad(1) : Tensor{};
                          if (context.has_output_grad(0)) {
                            // Both addends have the gradient of the sum; its memory is reused where
                            // nobody else reads it.
                            Tensor ds = dsum.defined() && dsum.unique()
                                            ? dsum
                                            : Tensor::empty_like(sum, "activation gradient");
                            kernels::rms_norm_backward({.dx = {ds},
                                                        .dgain = dgain,
                                                        .dy = context.output_grad(0),
                                                        .dsum = dsum,
                                                        .s = sum,
                                                        .inverse_rms = inverse_rms,
                                                        .gain = g});
                            dsum = ds;
                          } else if (dgain && !dgain.accumulate) {
                            dgain.tensor.zero();
                          }
                          context.give_input_grad(0, dsum);
                          context.give_input_grad(1, dsum);
                        });
  return {outputs[0], outputs[1]};
}

}  // namespace slotwise
