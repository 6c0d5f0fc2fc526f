// Weighted sums of table rows; both gradients, overwritten and added to.
#include "kernels/weighted_bag.h"

#include "kernels/elementwise.h"

#include <fmt/core.h>

#include "tests/kernels/ops/sinks.h"

namespace slotwise::testing {
namespace {

struct BagCase {
  std::int64_t tokens, reads, slots, columns;
  bool accumulate = false;
};

Doubles bag_reference(const BagCase& s, const Doubles& in) {
  std::vector<double> y(static_cast<std::size_t>(s.tokens * s.columns), 0.0);
  for (std::size_t access = 0; access < in[1].size(); ++access) {
    const auto columns = static_cast<std::size_t>(s.columns);
    const std::size_t token = access / static_cast<std::size_t>(s.reads);
    const std::size_t slot = static_cast<std::size_t>(in[1][access]);
    for (std::size_t d = 0; d < columns; ++d) {
      y[token * columns + d] += in[2][access] * in[0][slot * columns + d];
    }
  }
  return {y};
}

OpCase make_case(const BagCase& s) {
  OpCase out;
  out.label = fmt::format("{} tokens x {} of {}x{}{}", s.tokens, s.reads, s.slots, s.columns,
                          s.accumulate ? ", adding" : "");
  out.inputs = {
      random_normal({s.slots, s.columns}, 1),
      random_integers({s.tokens, s.reads}, 2, static_cast<std::int32_t>(s.slots)),
      random_normal({s.tokens, s.reads}, 3),
  };
  out.has_gradient = {true, false, true};
  out.forward = [s](const Tensors& in) -> Tensors {
    const Tensor y = Tensor::empty({s.tokens, s.columns}, DType::f32, in[0].device());
    kernels::weighted_bag_forward({.y = y, .values = in[0], .slots = in[1], .weights = in[2]});
    return {y};
  };
  out.backward = [s](const Tensors& in, const Tensors&, const Tensors& grads) -> Tensors {
    const Sink dvalues = sink_like(in[0], s.accumulate), dweights = sink_like(in[2], s.accumulate);
    kernels::weighted_bag_backward_values(
        {.dvalues = dvalues, .dy = grads[0], .slots = in[1], .weights = in[2]});
    kernels::weighted_bag_backward_weights(
        {.dweights = dweights, .dy = grads[0], .values = in[0], .slots = in[1]});
    return {contribution(dvalues), {}, contribution(dweights)};
  };
  out.reference = [s](const Doubles& in) { return bag_reference(s, in); };
  out.tolerance = 1e-6;
  out.gradient_tolerance = 1e-6;
  const auto rows = static_cast<double>(s.tokens * s.reads);
  out.bytes = 4.0 * (rows + static_cast<double>(s.tokens)) * static_cast<double>(s.columns);
  out.flops = 2.0 * rows * static_cast<double>(s.columns);
  // Both gradients: dy twice, the rows read for dweights, all of dvalues overwritten.
  out.backward_bytes = out.bytes + 4.0 * static_cast<double>((s.tokens + s.slots) * s.columns);
  out.backward_flops = 2.0 * out.flops;
  return out;
}

// A table in bf16: read as it is, so the tolerance stays that of fp32 sums.
OpCase in_bf16(OpCase test) {
  test.label += ", bf16 values";
  const Tensor narrow = Tensor::empty(test.inputs[0].shape(), DType::bf16);
  kernels::cast({.y = narrow, .x = test.inputs[0]});
  test.inputs[0] = narrow;
  test.backward = nullptr;
  return test;
}

std::vector<OpCase> test_cases() {
  return {in_bf16(make_case({5, 3, 11, 7})), in_bf16(make_case({6, 9, 40, 16})),
          make_case({5, 3, 11, 7}),          make_case({4, 6, 2, 17, true}),
          make_case({1, 1, 1, 1}),           make_case({0, 3, 5, 4}),
          make_case({6, 9, 40, 3, true}),    make_case({3, 16, 20, 33})};
}

// More columns than one pass of a block; more terms than one round of sums, with long segments.
std::vector<OpCase> wide_cases() {
  return {make_case({5, 3, 40, 1032}), in_bf16(make_case({5, 3, 40, 2056})),
          make_case({900, 32, 300, 24}), make_case({20000, 32, 5000, 8})};
}

std::vector<OpCase> bench_cases() {
  return {make_case({4096, 16, 16384, 64}), make_case({512, 128, 65536, 1024})};
}

const bool registered = register_op({"weighted_bag", test_cases, bench_cases, wide_cases});

}  // namespace
}  // namespace slotwise::testing
