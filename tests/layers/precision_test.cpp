// Products of bf16 operands in the layers: exactly the fp32 products of rounded operands, near the
// fp32 result, gradients included.
#include "layers/functional/precision.h"

#include <gtest/gtest.h>

#include "kernels/elementwise.h"
#include "layers/functional/language_model_loss.h"
#include "layers/functional/linear.h"
#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

Tensor rounded(const Tensor& x) {
  const Tensor narrow = Tensor::empty(x.shape(), DType::bf16), wide = Tensor::empty_like(x);
  kernels::cast({.y = narrow, .x = x});
  kernels::cast({.y = wide, .x = narrow});
  return wide;
}

struct Result {
  Tensor y;
  std::vector<Tensor> gradients;
};

// y and the gradients of x, W, A, B for a gradient `dy`.
Result adapted(const std::vector<Tensor>& values, const Tensor& dy) {
  std::vector<Variable> in;
  for (const Tensor& value : values) in.emplace_back(value, true);
  const Variable y = low_rank_linear(in[0], in[1], in[2], in[3], 0.5f);
  backward(y, dy.clone());
  Result out{y.value(), {}};
  for (const Variable& variable : in) out.gradients.push_back(variable.grad());
  return out;
}

const std::vector<Tensor>& operands() {
  static const std::vector<Tensor> all{random_normal({40, 24}, 1), random_normal({16, 24}, 2),
                                       random_normal({4, 24}, 3), random_normal({16, 4}, 4)};
  return all;
}

TEST(Bf16Products, StayNearFp32) {
  const Tensor dy = random_normal({40, 16}, 5);
  const Result wide = adapted(operands(), dy);
  const ProductType scope(DType::bf16);
  const Result narrow = adapted(operands(), dy);
  const auto expect_near = [](const Tensor& a, const Tensor& b) {
    const double error = relative_error(a, to_doubles(b));
    EXPECT_GT(error, 1e-4);  // it is bf16 ...
    EXPECT_LT(error, 1e-2);  // ... with 8 bits an operand
    EXPECT_EQ(a.dtype(), DType::f32);
  };
  expect_near(narrow.y, wide.y);
  for (std::size_t i = 0; i < 4; ++i) expect_near(narrow.gradients[i], wide.gradients[i]);
}

TEST(Bf16Products, AreFp32ProductsOfRoundedOperands) {
  const Tensor x = operands()[0], w = operands()[1], dy = random_normal({40, 16}, 6);
  const auto run = [](const Tensor& in, const Tensor& weight, const Tensor& gradient) {
    const Variable a(in, true), b(weight, true);
    const Variable y = linear(a, b);
    backward(y, gradient.clone());
    return std::vector{y.value().to_vector<float>(), a.grad().to_vector<float>(),
                       b.grad().to_vector<float>()};
  };
  const auto expected = run(rounded(x), rounded(w), rounded(dy));
  const ProductType scope(DType::bf16);
  EXPECT_EQ(run(x, w, dy), expected);
}

TEST(Bf16Products, LossAndItsGradients) {
  const auto run = [] {
    const Variable hidden(random_normal({9, 24}, 7), true), head(random_normal({31, 24}, 8), true);
    const auto targets = LossTargets::from(random_integers({9}, 9, 31), {});
    const Variable loss = language_model_loss(hidden, head, targets, 9.0);
    backward(loss);
    return Result{loss.value(), {hidden.grad(), head.grad()}};
  };
  const Result wide = run();
  const ProductType scope(DType::bf16);
  const Result narrow = run();
  EXPECT_LT(relative_error(narrow.y, to_doubles(wide.y)), 5e-3);
  for (const std::size_t i : {0, 1}) {
    const double error = relative_error(narrow.gradients[i], to_doubles(wide.gradients[i]));
    EXPECT_GT(error, 1e-4);
    EXPECT_LT(error, 3e-2);
  }
}

TEST(Bf16Products, AreSetForAScope) {
  EXPECT_EQ(product_type(), DType::f32);
  {
    const ProductType scope(DType::bf16);
    EXPECT_EQ(product_type(), DType::bf16);
  }
  EXPECT_EQ(product_type(), DType::f32);
  EXPECT_THROW(ProductType(DType::i32), Error);
}

}  // namespace
}  // namespace slotwise::testing
