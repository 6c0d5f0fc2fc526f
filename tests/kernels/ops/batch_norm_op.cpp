// Batch normalisation in training and evaluation, with rows that do not count.
#include "kernels/batch_norm.h"

#include <fmt/core.h>

#include <cmath>

#include "tests/kernels/ops/sinks.h"

namespace slotwise::testing {
namespace {

constexpr float kEpsilon = 1e-5f;
constexpr float kMomentum = 0.1f;

struct BatchNormCase {
  std::int64_t rows, features;
  bool training = true;
  enum Valid { kAll, kSome, kNone, kOne } valid = kAll;
  bool accumulate = false;
  float mean = 0.0f;
};

// Inputs: x, gain, bias, running mean, running variance, valid (one flag a row in every case).
// Outputs: y, mean, inverse_std, running mean, running variance.
Tensors forward(const BatchNormCase& s, const Tensors& in) {
  const Tensor y = Tensor::empty_like(in[0]);
  const Tensor mean = Tensor::empty_like(in[1]);
  const Tensor inverse_std = Tensor::empty_like(in[1]);
  const Tensor running_mean = in[3].clone();
  const Tensor running_variance = in[4].clone();
  kernels::batch_norm_forward({.y = y,
                               .mean = mean,
                               .inverse_std = inverse_std,
                               .running_mean = running_mean,
                               .running_variance = running_variance,
                               .x = in[0],
                               .gain = in[1],
                               .bias = in[2],
                               .valid = s.valid == BatchNormCase::kAll ? Tensor() : in[5],
                               .training = s.training,
                               .momentum = kMomentum,
                               .epsilon = kEpsilon});
  return {y, mean, inverse_std, running_mean, running_variance};
}

Tensors backward(const BatchNormCase& s, const Tensors& in, const Tensors& out,
                 const Tensors& grads) {
  const Sink dx = sink_like(in[0], s.accumulate);
  const Sink dgain = sink_like(in[1], s.accumulate);
  const Sink dbias = sink_like(in[2], s.accumulate);
  kernels::batch_norm_backward({.dx = dx,
                                .dgain = dgain,
                                .dbias = dbias,
                                .dy = grads[0],
                                .x = in[0],
                                .gain = in[1],
                                .mean = out[1],
                                .inverse_std = out[2],
                                .valid = s.valid == BatchNormCase::kAll ? Tensor() : in[5],
                                .training = s.training});
  return {contribution(dx), contribution(dgain), contribution(dbias), {}, {}, {}};
}

Doubles reference(const BatchNormCase& s, const Doubles& in) {
  const auto features = static_cast<std::size_t>(s.features);
  const auto rows = static_cast<std::size_t>(s.rows);
  Doubles out{in[0], in[3], in[4], in[3], in[4]};
  for (std::size_t f = 0; f < features; ++f) {
    double count = 0.0, sum = 0.0, squares = 0.0;
    for (std::size_t row = 0; row < rows; ++row) {
      count += in[5][row];
      sum += in[5][row] * in[0][row * features + f];
    }
    const bool batch = s.training && count > 0.0;
    const double mean = batch ? sum / count : in[3][f];
    for (std::size_t row = 0; row < rows; ++row) {
      squares += in[5][row] * std::pow(in[0][row * features + f] - mean, 2.0);
    }
    const double variance = batch ? squares / count : in[4][f];
    out[1][f] = mean;
    out[2][f] = 1.0 / std::sqrt(variance + static_cast<double>(kEpsilon));
    for (std::size_t row = 0; row < rows; ++row) {
      double& y = out[0][row * features + f];
      y = (y - mean) * out[2][f] * in[1][f] + in[2][f];
    }
    if (!batch) continue;
    const double unbiased = count > 1.0 ? variance * count / (count - 1.0) : variance;
    out[3][f] += static_cast<double>(kMomentum) * (mean - in[3][f]);
    out[4][f] += static_cast<double>(kMomentum) * (unbiased - in[4][f]);
  }
  return out;
}

Tensor valid_rows(const BatchNormCase& s) {
  const Tensor valid = Tensor::empty({s.rows}, DType::u8);
  for (std::int64_t row = 0; row < s.rows; ++row) {
    const bool counts = s.valid == BatchNormCase::kAll ||
                        (s.valid == BatchNormCase::kSome && row % 3 != 0) ||
                        (s.valid == BatchNormCase::kOne && row == 1);
    valid.data<std::uint8_t>()[row] = counts ? 1 : 0;
  }
  return valid;
}

OpCase make_case(const BatchNormCase& s) {
  OpCase out;
  constexpr const char* kNames[] = {"all", "some", "none", "one"};
  out.label = fmt::format("{}x{}{}, {} valid{}, mean {}", s.rows, s.features,
                          s.training ? ", training" : "", kNames[s.valid],
                          s.accumulate ? ", adding" : "", s.mean);
  const Tensor x = random_normal({s.rows, s.features}, 1);
  for (float& value : x.span<float>()) value += s.mean;
  const Tensor running_variance = random_normal({s.features}, 5);
  for (float& value : running_variance.span<float>()) value = value * value + 0.5f;
  out.inputs = {x,
                random_normal({s.features}, 2),
                random_normal({s.features}, 3),
                random_normal({s.features}, 4),
                running_variance,
                valid_rows(s)};
  out.has_gradient = {true, true, true, false, false, false};
  out.output_has_gradient = {true, false, false, false, false};
  out.forward = [s](const Tensors& in) { return forward(s, in); };
  out.backward = [s](const Tensors& in, const Tensors& outputs, const Tensors& grads) {
    return backward(s, in, outputs, grads);
  };
  out.reference = [s](const Doubles& in) { return reference(s, in); };
  out.tolerance = 1e-6;
  out.gradient_tolerance = 5e-6;
  const double elements = static_cast<double>(s.rows * s.features);
  out.bytes = 4.0 * elements * (s.training ? 4.0 : 2.0);
  out.flops = elements * (s.training ? 9.0 : 4.0);
  out.backward_bytes = 4.0 * elements * 3.0;  // x, dy, dx
  out.backward_flops = elements * 10.0;
  return out;
}

std::vector<OpCase> test_cases() {
  using Case = BatchNormCase;
  // A mean of 1000 standard deviations leaves x - mean only 14 of its 24 bits.
  OpCase far = make_case({33, 5, true, Case::kSome, false, 1000.0f});
  far.tolerance = 1e-4;
  far.gradient_tolerance = 1e-3;
  OpCase one = make_case({3, 4, true, Case::kOne});
  // With one valid row the variance is 0 and y of the others is x / sqrt(epsilon): too steep for
  // central differences of a useful step.
  one.backward = nullptr;
  return {make_case({9, 17}),
          make_case({9, 17, false}),
          make_case({7, 67, true, Case::kSome, true}),
          make_case({7, 3, false, Case::kSome, true}),
          make_case({5, 3, true, Case::kNone}),
          make_case({130, 1, true, Case::kSome}),
          make_case({0, 5}),
          make_case({0, 5, false}),
          one,
          far};
}

// More rows than one round of sums.
std::vector<OpCase> wide_cases() {
  return {make_case({700, 67, true, BatchNormCase::kSome}), make_case({1500, 512})};
}

std::vector<OpCase> bench_cases() {
  return {make_case({1872, 64}), make_case({16384, 512}), make_case({16384, 512, false})};
}

const bool registered = register_op({"batch_norm", test_cases, bench_cases, wide_cases});

}  // namespace
}  // namespace slotwise::testing
