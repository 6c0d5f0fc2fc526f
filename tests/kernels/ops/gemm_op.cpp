// C = alpha * op(A) * op(B) + beta * C; the gradients are products of the same kind.
#include "kernels/gemm.h"

#include <fmt/core.h>

#include "kernels/elementwise.h"
#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

struct GemmSizes {
  std::int64_t m, n, k;
  bool transpose_a, transpose_b;
  float alpha = 1.0f, beta = 0.0f;
};

Tensor product(const Shape& shape, const Tensor& a, bool transpose_a, const Tensor& b,
               bool transpose_b, float alpha) {
  const Tensor c = Tensor::empty(shape, DType::f32, a.device());
  kernels::gemm({.c = c,
                 .a = a,
                 .b = b,
                 .transpose_a = transpose_a,
                 .transpose_b = transpose_b,
                 .alpha = alpha});
  return c;
}

Tensors backward(const GemmSizes& s, const Tensors& in, const Tensor& dc) {
  const Tensor& a = in[0];
  const Tensor& b = in[1];
  const Tensor da = s.transpose_a ? product(a.shape(), b, s.transpose_b, dc, true, s.alpha)
                                  : product(a.shape(), dc, false, b, !s.transpose_b, s.alpha);
  const Tensor db = s.transpose_b ? product(b.shape(), dc, true, a, s.transpose_a, s.alpha)
                                  : product(b.shape(), a, !s.transpose_a, dc, false, s.alpha);
  return {da, db, {}};
}

std::vector<double> reference(const GemmSizes& s, const Doubles& in) {
  std::vector<double> c(static_cast<std::size_t>(s.m * s.n));
  for (std::int64_t i = 0; i < s.m; ++i) {
    for (std::int64_t j = 0; j < s.n; ++j) {
      double sum = 0.0;
      for (std::int64_t k = 0; k < s.k; ++k) {
        const auto at_a = static_cast<std::size_t>(s.transpose_a ? k * s.m + i : i * s.k + k);
        const auto at_b = static_cast<std::size_t>(s.transpose_b ? j * s.k + k : k * s.n + j);
        sum += in[0][at_a] * in[1][at_b];
      }
      const auto at = static_cast<std::size_t>(i * s.n + j);
      c[at] = static_cast<double>(s.alpha) * sum + static_cast<double>(s.beta) * in[2][at];
    }
  }
  return c;
}

OpCase make_case(const GemmSizes& s) {
  OpCase out;
  out.label = fmt::format("{}x{}x{}{}{}", s.m, s.n, s.k, s.transpose_a ? " A^T" : "",
                          s.transpose_b ? " B^T" : "");
  out.inputs = {random_normal(s.transpose_a ? Shape{s.k, s.m} : Shape{s.m, s.k}, 1),
                random_normal(s.transpose_b ? Shape{s.n, s.k} : Shape{s.k, s.n}, 2),
                random_normal({s.m, s.n}, 3)};
  out.has_gradient = {true, true, false};
  out.forward = [s](const Tensors& in) -> Tensors {
    const Tensor c = s.beta == 0.0f ? Tensor::empty_like(in[2]) : in[2].clone();
    kernels::gemm({.c = c,
                   .a = in[0],
                   .b = in[1],
                   .transpose_a = s.transpose_a,
                   .transpose_b = s.transpose_b,
                   .alpha = s.alpha,
                   .beta = s.beta});
    return {c};
  };
  out.backward = [s](const Tensors& in, const Tensors&, const Tensors& grads) {
    return backward(s, in, grads[0]);
  };
  out.reference = [s](const Doubles& in) -> Doubles { return {reference(s, in)}; };
  out.bytes = 4.0 * static_cast<double>(s.m * s.k + s.k * s.n + s.m * s.n);
  out.flops = 2.0 * static_cast<double>(s.m * s.n * s.k);
  // Two products, of dc with either operand.
  out.backward_bytes = 8.0 * static_cast<double>(s.m * s.k + s.k * s.n + s.m * s.n);
  out.backward_flops = 2.0 * out.flops;
  return out;
}

// bf16 operands: their products are exact in fp32, so the tolerance stays.
OpCase in_bf16(OpCase test) {
  test.label += ", bf16";
  for (const std::size_t input : {0, 1}) {
    const Tensor narrow = Tensor::empty(test.inputs[input].shape(), DType::bf16);
    kernels::cast({.y = narrow, .x = test.inputs[input]});
    test.inputs[input] = narrow;
  }
  test.backward = nullptr;
  test.operands = DType::bf16;
  return test;
}

std::vector<OpCase> test_cases() {
  std::vector<OpCase> cases;
  for (const bool a : {false, true}) {
    for (const bool b : {false, true}) {
      cases.push_back(make_case({5, 7, 3, a, b}));
      cases.push_back(make_case({17, 9, 67, a, b, 0.5f, 2.0f}));
      cases.push_back(make_case({1, 17, 5, a, b}));
      cases.push_back(in_bf16(make_case({17, 9, 67, a, b, 0.5f, 2.0f})));
      cases.push_back(in_bf16(make_case({64, 32, 128, a, b})));
    }
  }
  cases.push_back(make_case({1, 1, 1, false, false, -1.5f, 1.0f}));
  cases.push_back(make_case({0, 5, 3, false, false}));
  cases.push_back(make_case({3, 4, 0, false, true, 1.0f, 0.5f}));
  cases.push_back(make_case({3, 4, 0, false, false}));
  return cases;
}

// Long sums, which cuBLASLt may split, and odd leading dimensions.
std::vector<OpCase> wide_cases() {
  std::vector<OpCase> cases;
  for (const bool a : {false, true}) {
    for (const bool b : {false, true}) {
      cases.push_back(make_case({150, 131, 2051, a, b}));
      cases.push_back(in_bf16(make_case({150, 131, 2051, a, b, 1.0f, 1.0f})));
    }
  }
  return cases;
}

std::vector<OpCase> bench_cases() {
  return {make_case({468, 64, 64, false, true}), make_case({4096, 512, 512, false, true}),
          make_case({512, 512, 4096, true, false}),
          in_bf16(make_case({4096, 512, 512, false, true}))};
}

const bool registered = register_op({"gemm", test_cases, bench_cases, wide_cases});

}  // namespace
}  // namespace slotwise::testing
