#include "kernels/swiglu.h"

#include "layers/functional/swiglu.h"

namespace slotwise {

Variable swiglu(const Variable& gate, const Variable& up) {
  const Tensor g = gate.value(), u = up.value();
  Tensor y = Tensor::empty_like(g, "activation swiglu");
  kernels::swiglu_forward({.y = y, .gate = g, .up = u});
  return record("swiglu", {gate, up}, y, [g, u](BackwardContext& context) {
    kernels::swiglu_backward({.dgate = context.input_sink(0),
                              .dup = context.input_sink(1),
                              .dy = context.output_grad(),
                              .gate = g,
                              .up = u});
  });
}

}  // namespace slotwise
