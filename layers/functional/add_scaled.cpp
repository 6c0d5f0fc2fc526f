#include "kernels/elementwise.h"

#include "layers/functional/add_scaled.h"

namespace slotwise {

Variable add_scaled(const Variable& a, const Variable& b, const Variable& alpha) {
  const Tensor bv = b.value(), scale = alpha.value();
  Tensor y = Tensor::empty_like(bv, "activation residual");
  kernels::add_scaled({.y = y, .a = a.value(), .b = bv, .scale = scale});
  return record("add_scaled", {a, b, alpha}, y, [bv, scale](BackwardContext& context) {
    Tensor dy = context.take_output_grad();
    if (const Sink sink = context.input_sink(2)) {
      kernels::dot_product({.out = sink, .a = dy, .b = bv});
    }
    if (const Sink sink = context.input_sink(1)) {
      kernels::scale({.out = sink, .x = dy, .scale = scale});
    }
    context.give_input_grad(0, dy);
  });
}

}  // namespace slotwise
