#include "layers/functional/linear.h"

#include "kernels/gemm.h"
#include "layers/functional/precision.h"

namespace slotwise {
namespace {

using kernels::gemm;

Tensor matrix(const Tensor& x) {
  return x.view({x.shape().rows(), x.shape().last()});
}

// sink (+)= alpha * op(a) * op(b)
void product(const Sink& sink, const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b,
             float alpha = 1.0f) {
  if (!sink) return;
  gemm({.c = matrix(sink.tensor),
        .a = a,
        .b = b,
        .transpose_a = transpose_a,
        .transpose_b = transpose_b,
        .alpha = alpha,
        .beta = sink.accumulate ? 1.0f : 0.0f});
}

Tensor output_like(const Tensor& x, std::int64_t features) {
  return Tensor::empty(x.shape().with(-1, features), DType::f32, x.device(), "activation linear");
}

}  // namespace

Variable linear(const Variable& x, const Variable& weight) {
  const Tensor in = operand(x.value());
  const Tensor w = operand(weight.value());
  Tensor y = output_like(in, w.size(0));
  gemm({.c = matrix(y), .a = matrix(in), .b = w, .transpose_b = true});
  return record("linear", {x, weight}, y, [in, w](BackwardContext& context) {
    const Tensor dy = operand(matrix(context.output_grad()));
    product(context.input_sink(0), dy, false, w, false);
    product(context.input_sink(1), dy, true, matrix(in), false);
  });
}

Variable low_rank_linear(const Variable& x, const Variable& weight, const Variable& a,
                         const Variable& b, float scale) {
  const Tensor in = operand(x.value());
  const Tensor w = operand(weight.value()), a_value = operand(a.value()),
               b_value = operand(b.value());
  Tensor y = output_like(in, w.size(0));
  Tensor narrow = Tensor::empty({in.shape().rows(), a_value.size(0)}, DType::f32, in.device(),
                                "activation lora");
  gemm({.c = matrix(y), .a = matrix(in), .b = w, .transpose_b = true});
  gemm({.c = narrow, .a = matrix(in), .b = a_value, .transpose_b = true});
  const Tensor inner = operand(narrow);
  gemm({.c = matrix(y),
        .a = inner,
        .b = b_value,
        .transpose_b = true,
        .alpha = scale,
        .beta = 1.0f});
  return record("low_rank_linear", {x, weight, a, b}, y, [=](BackwardContext& context) {
    const Tensor dy = operand(matrix(context.output_grad()));
    const Tensor sum =
        Tensor::empty(inner.shape(), DType::f32, inner.device(), "activation gradient");
    product({sum}, dy, false, b_value, false, scale);
    const Tensor dnarrow = operand(sum);
    product(context.input_sink(0), dy, false, w, false);
    product(context.input_sink(0), dnarrow, false, a_value, false);
    product(context.input_sink(1), dy, true, matrix(in), false);
    product(context.input_sink(2), dnarrow, true, matrix(in), false);
    product(context.input_sink(3), dy, true, inner, false, scale);
  });
}

}  // namespace slotwise
