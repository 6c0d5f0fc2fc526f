#include "layers/functional/add.h"

#include "kernels/elementwise.h"

namespace slotwise {

Variable add(const Variable& a, const Variable& b) {
  Tensor y = Tensor::empty_like(a.value(), "activation residual");
  kernels::add_scaled({.y = y, .a = a.value(), .b = b.value()});
  return record("add", {a, b}, y, [](BackwardContext& context) {
    const Tensor dy = context.take_output_grad();
    context.give_input_grad(0, dy);
    context.give_input_grad(1, dy);
  });
}

}  // namespace slotwise
