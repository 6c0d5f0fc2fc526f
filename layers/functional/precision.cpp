#include "layers/functional/precision.h"

#include "kernels/elementwise.h"

namespace slotwise {
namespace {

DType g_product_type = DType::f32;

}  // namespace

DType product_type() {
  return g_product_type;
}

ProductType::ProductType(DType type) : before_(g_product_type) {
  SLOTWISE_CHECK(type == DType::f32 || type == DType::bf16,
                 "[precision] expected products of f32 or bf16, got {}", name_of(type));
  g_product_type = type;
}

ProductType::~ProductType() {
  g_product_type = before_;
}

Tensor operand(const Tensor& x) {
  if (x.dtype() == g_product_type) return x;
  const Tensor narrow = Tensor::empty(x.shape(), g_product_type, x.device(), "bf16 operands");
  kernels::cast({.y = narrow, .x = x});
  return narrow;
}

}  // namespace slotwise
