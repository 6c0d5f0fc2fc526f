// RMS normalisation with its residual addition, its gain rows and every combination of sinks.
#include "kernels/rms_norm.h"

#include <fmt/core.h>

#include <cmath>

#include "tests/kernels/ops/sinks.h"

namespace slotwise::testing {
namespace {

constexpr float kEpsilon = 1e-5f;

struct RmsNormCase {
  std::int64_t rows, size;
  std::int64_t gain_rows = 1;  // 0: no gain
  bool residual = false;       // then the second output is the sum
  bool accumulate = false;
  float std = 1.0f;
};

// Inputs: x, residual, gain. Outputs: y, sum, inverse_rms.
Tensors forward(const RmsNormCase& s, const Tensors& in) {
  const Tensor y = Tensor::empty_like(in[0]);
  const Tensor sum = Tensor::empty_like(in[0]);
  const Tensor inverse_rms = Tensor::empty({s.rows}, DType::f32, in[0].device());
  kernels::rms_norm_forward({.y = y,
                             .sum = sum,
                             .inverse_rms = inverse_rms,
                             .x = in[0],
                             .residual = s.residual ? in[1] : Tensor(),
                             .gain = s.gain_rows > 0 ? in[2] : Tensor(),
                             .epsilon = kEpsilon});
  return {y, sum, inverse_rms};
}

Tensors backward(const RmsNormCase& s, const Tensors& in, const Tensors& out,
                 const Tensors& grads) {
  const Sink dx = sink_like(in[0], s.accumulate);
  Sink dgain;
  if (s.gain_rows > 0) dgain = sink_like(in[2], s.accumulate);
  kernels::rms_norm_backward({.dx = dx,
                              .dgain = dgain,
                              .dy = grads[0],
                              .dsum = grads[1],
                              .s = out[1],
                              .inverse_rms = out[2],
                              .gain = s.gain_rows > 0 ? in[2] : Tensor()});
  const Tensor to_x = contribution(dx);
  return {to_x, s.residual ? to_x : Tensor(), dgain ? contribution(dgain) : Tensor()};
}

Doubles reference(const RmsNormCase& s, const Doubles& in) {
  const auto size = static_cast<std::size_t>(s.size);
  Doubles out{in[0], in[0], std::vector<double>(static_cast<std::size_t>(s.rows))};
  for (std::size_t row = 0; row < out[2].size(); ++row) {
    double squares = 0.0;
    for (std::size_t i = 0; i < size; ++i) {
      double& sum = out[1][row * size + i];
      if (s.residual) sum += in[1][row * size + i];
      squares += sum * sum;
    }
    const double epsilon = static_cast<double>(kEpsilon);
    out[2][row] = 1.0 / std::sqrt(squares / static_cast<double>(s.size) + epsilon);
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t gain_row =
          s.gain_rows > 0 ? row % static_cast<std::size_t>(s.gain_rows) : 0;
      const double gain = s.gain_rows > 0 ? in[2][gain_row * size + i] : 1.0;
      out[0][row * size + i] = out[1][row * size + i] * out[2][row] * gain;
    }
  }
  return out;
}

OpCase make_case(const RmsNormCase& s) {
  OpCase out;
  out.label = fmt::format("{}x{}, {} gain rows{}{}", s.rows, s.size, s.gain_rows,
                          s.residual ? ", residual" : "", s.accumulate ? ", adding" : "");
  const Shape gain = s.gain_rows == 1 ? Shape{s.size} : Shape{s.gain_rows, s.size};
  out.inputs = {random_normal({s.rows, s.size}, 1, s.std),
                random_normal({s.rows, s.size}, 2, s.std), random_normal(gain, 3)};
  out.has_gradient = {true, s.residual, s.gain_rows > 0};
  out.output_has_gradient = {true, true, false};
  out.forward = [s](const Tensors& in) { return forward(s, in); };
  out.backward = [s](const Tensors& in, const Tensors& outputs, const Tensors& grads) {
    return backward(s, in, outputs, grads);
  };
  out.reference = [s](const Doubles& in) { return reference(s, in); };
  out.tolerance = 5e-7;
  out.gradient_tolerance = 2e-6;
  const double elements = static_cast<double>(s.rows * s.size);
  out.bytes = 4.0 * elements * (s.residual ? 4.0 : 3.0);
  out.flops = 5.0 * elements;
  out.backward_bytes = 4.0 * elements * (s.residual ? 5.0 : 3.0);  // x, dy (and dsum), dx (twice)
  out.backward_flops = 8.0 * elements;
  return out;
}

std::vector<OpCase> test_cases() {
  std::vector<OpCase> cases;
  for (const auto& [rows, size] : {std::pair{3, 17}, {1, 64}, {6, 1}, {67, 5}, {0, 8}}) {
    cases.push_back(make_case({rows, size}));
    cases.push_back(make_case({rows, size, 0}));
    cases.push_back(make_case({rows, size, 1, true}));
    cases.push_back(make_case({rows, size, 3, true, true}));
  }
  cases.push_back(make_case({4, 16, 2, false, true}));
  cases.push_back(make_case({130, 3, 2}));                    // several blocks of rows
  cases.push_back(make_case({3, 8, 1, false, false, 0.0f}));  // all zero
  cases.push_back(make_case({3, 8, 1, true, false, 1e4f}));
  return cases;
}

// Rows that a block shares, by vectors and one by one; more rows than one round of sums.
std::vector<OpCase> wide_cases() {
  return {make_case({5, 2048, 1, true}), make_case({3, 1030}), make_case({3, 301, 1, true, true}),
          make_case({2000, 64, 2})};
}

std::vector<OpCase> bench_cases() {
  return {make_case({468, 64, 1, true}), make_case({4096, 512, 1, true}),
          make_case({16384, 64, 2})};
}

const bool registered = register_op({"rms_norm", test_cases, bench_cases, wide_cases});

}  // namespace
}  // namespace slotwise::testing
