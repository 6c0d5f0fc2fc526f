// SwiGLU with both gradients, overwritten and added to.
#include "kernels/swiglu.h"

#include <fmt/core.h>

#include <cmath>

#include "tests/kernels/ops/sinks.h"

namespace slotwise::testing {
namespace {

struct SwigluCase {
  std::int64_t rows, size;
  float std = 1.0f;
  bool add_gate = false, add_up = false;
};

OpCase make_case(const SwigluCase& s) {
  OpCase out;
  out.label = fmt::format("{}x{}, std {}{}{}", s.rows, s.size, s.std,
                          s.add_gate ? ", adding gate" : "", s.add_up ? ", adding up" : "");
  out.inputs = {random_normal({s.rows, s.size}, 1, s.std), random_normal({s.rows, s.size}, 2)};
  out.has_gradient = {true, true};
  out.forward = [](const Tensors& in) -> Tensors {
    const Tensor y = Tensor::empty_like(in[0]);
    kernels::swiglu_forward({.y = y, .gate = in[0], .up = in[1]});
    return {y};
  };
  out.backward = [s](const Tensors& in, const Tensors&, const Tensors& grads) -> Tensors {
    const Sink dgate = sink_like(in[0], s.add_gate);
    const Sink dup = sink_like(in[1], s.add_up);
    kernels::swiglu_backward(
        {.dgate = dgate, .dup = dup, .dy = grads[0], .gate = in[0], .up = in[1]});
    return {contribution(dgate), contribution(dup)};
  };
  out.reference = [](const Doubles& in) -> Doubles {
    std::vector<double> y(in[0].size());
    for (std::size_t i = 0; i < y.size(); ++i) {
      y[i] = in[0][i] / (1.0 + std::exp(-in[0][i])) * in[1][i];
    }
    return {y};
  };
  out.tolerance = 3e-7;
  out.gradient_tolerance = 1e-6;
  const double elements = static_cast<double>(s.rows * s.size);
  out.bytes = 12.0 * elements;
  out.flops = 20.0 * elements;
  out.backward_bytes = 20.0 * elements;
  out.backward_flops = 30.0 * elements;
  return out;
}

std::vector<OpCase> test_cases() {
  return {make_case({3, 17}),
          make_case({1, 1}),
          make_case({5, 67, 4.0f, true, true}),
          make_case({2, 5, 1.0f, true, false}),
          make_case({2, 5, 1.0f, false, true}),
          make_case({3, 33, 100.0f}),
          make_case({0, 8})};
}

std::vector<OpCase> bench_cases() {
  return {make_case({468, 256}), make_case({4096, 1536})};
}

const bool registered = register_op({"swiglu", test_cases, bench_cases});

}  // namespace
}  // namespace slotwise::testing
