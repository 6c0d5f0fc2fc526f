// The type in which matrix products of the layers take their operands: f32, or bf16 with sums in
// fp32. Weights, activations between products, gradients and optimizer state stay f32, so bf16
// changes what is multiplied and nothing else. One setting for the whole program.
#pragma once

#include <string>

#include "core/tensor.h"

namespace slotwise {

DType product_type();

// Sets it while it lives.
class ProductType {
 public:
  explicit ProductType(DType type);  // f32 or bf16
  ~ProductType();
  ProductType(const ProductType&) = delete;
  ProductType& operator=(const ProductType&) = delete;

 private:
  DType before_;
};

// x as an operand of a product: itself, or a copy in bf16 where that is set.
Tensor operand(const Tensor& x);

}  // namespace slotwise
