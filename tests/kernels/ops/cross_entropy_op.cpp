// Softmax cross-entropy. The op writes its gradient in the forward: dlogits for a gradient of
// `scale` per loss, so the case takes L = scale * sum(losses) as its output.
#include "kernels/cross_entropy.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

struct CrossEntropyCase {
  std::int64_t rows, classes;
  float std = 1.0f;
  bool in_place = false;
  float offset = 0.0f;  // added to the logit of the target: large means certain, or certainly wrong
};

constexpr float kScale = 0.25f;

// Losses, and with them dlogits, in double.
Doubles reference(const CrossEntropyCase& s, const Doubles& in) {
  const auto classes = static_cast<std::size_t>(s.classes);
  Doubles out{std::vector<double>(in[1].size()), std::vector<double>(in[0].size())};
  for (std::size_t row = 0; row < in[1].size(); ++row) {
    if (in[1][row] < 0) continue;
    const auto target = static_cast<std::size_t>(in[1][row]);
    const double* x = in[0].data() + row * classes;
    const double most = *std::max_element(x, x + classes);
    double others = 0.0;
    for (std::size_t i = 0; i < classes; ++i) others += i == target ? 0.0 : std::exp(x[i] - most);
    const double at_target = std::exp(x[target] - most);
    const double total = others + at_target;
    out[0][row] = most - x[target] + std::log1p(others + (at_target - 1.0));
    for (std::size_t i = 0; i < classes; ++i) {
      const double p = i == target ? -others / total : std::exp(x[i] - most) / total;
      out[1][row * classes + i] = p * static_cast<double>(kScale);
    }
  }
  return out;
}

Tensors forward(const CrossEntropyCase& s, const Tensors& in) {
  const Tensor losses = Tensor::empty({s.rows}, DType::f32, in[0].device());
  const Tensor logits = s.in_place ? in[0].clone() : in[0];
  const Tensor dlogits = s.in_place ? logits : Tensor::empty_like(logits);
  kernels::cross_entropy(
      {.losses = losses, .dlogits = dlogits, .logits = logits, .targets = in[1], .scale = kScale});
  return {losses, dlogits};
}

OpCase make_case(const CrossEntropyCase& s) {
  OpCase out;
  out.label = fmt::format("{}x{}, std {}, target {:+}{}", s.rows, s.classes, s.std, s.offset,
                          s.in_place ? ", in place" : "");
  const Tensor logits = random_normal({s.rows, s.classes}, 1, s.std);
  const Tensor targets = random_integers({s.rows}, 2, static_cast<std::int32_t>(s.classes));
  for (std::int64_t row = 0; row < s.rows; ++row) {
    std::int32_t& target = targets.data<std::int32_t>()[row];
    logits.data<float>()[row * s.classes + target] += s.offset;
    if (row % 4 == 2) target = row % 8 == 2 ? -1 : -100;
  }
  out.inputs = {logits, targets};
  out.has_gradient = {true, false};
  out.output_has_gradient = {true, false};
  out.forward = [s](const Tensors& in) { return forward(s, in); };
  out.reference = [s](const Doubles& in) { return reference(s, in); };
  // The gradient of sum(g * losses): dlogits / kScale, row by row times g.
  out.backward = [s](const Tensors& in, const Tensors& outputs, const Tensors& grads) -> Tensors {
    const Tensor dlogits = outputs[1].clone().to(Device{}), factors = grads[0].to(Device{});
    for (std::int64_t i = 0; i < dlogits.elements(); ++i) {
      float& value = dlogits.data<float>()[i];
      value = value / kScale * factors.data<float>()[i / s.classes];
    }
    return {dlogits.to(in[0].device()), {}};
  };
  out.tolerance = 5e-7;
  out.gradient_tolerance = 2e-6;
  const double elements = static_cast<double>(s.rows * s.classes);
  out.bytes = 8.0 * elements;
  out.flops = 16.0 * elements;
  return out;
}

// Where the target is almost certain, its gradient (1 - p) is below what central differences
// resolve; dlogits is an output and compared with the reference there.
// (Nor is there a backward to time.)
OpCase without_differences(OpCase test) {
  test.backward = nullptr;
  return test;
}

std::vector<OpCase> test_cases() {
  return {make_case({5, 17}),
          make_case({1, 3, 1.0f, true}),
          make_case({9, 67, 5.0f, true}),
          make_case({3, 1}),
          make_case({0, 5}),
          make_case({3, 5, 0.0f}),  // all equal
          without_differences(make_case({4, 2500, 3.0f, true})),
          without_differences(make_case({4, 33, 1.0f, false, 30.0f})),
          without_differences(make_case({4, 33, 1.0f, true, -60.0f})),
          without_differences(make_case({5, 65, 1e4f, true}))};
}

std::vector<OpCase> bench_cases() {
  return {without_differences(make_case({468, 512})), without_differences(make_case({512, 50000}))};
}

const bool registered = register_op({"cross_entropy", test_cases, bench_cases});

}  // namespace
}  // namespace slotwise::testing
