// Rotary embedding, forward and inverse; the gradient is the inverse rotation.
#include "kernels/rotary.h"

#include <fmt/core.h>

#include <cmath>

#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

constexpr std::int64_t kPositions = 40;

struct RotaryCase {
  std::int64_t tokens, heads, size;
  bool inverse = false;
};

Tensor turn(const Tensors& in, const Tensor& x, bool inverse) {
  const Tensor y = Tensor::empty_like(x);
  kernels::rotary(
      {.y = y, .x = x, .positions = in[1], .cosine = in[2], .sine = in[3], .inverse = inverse});
  return y;
}

std::vector<double> reference(const RotaryCase& s, const Doubles& in) {
  const auto half = static_cast<std::size_t>(s.size / 2);
  const auto heads = static_cast<std::size_t>(s.heads);
  std::vector<double> y(in[0].size());
  for (std::size_t token = 0; token < static_cast<std::size_t>(s.tokens); ++token) {
    const auto position = static_cast<std::size_t>(in[1][token]);
    for (std::size_t head = 0; head < heads; ++head) {
      const std::size_t at = (token * heads + head) * 2 * half;
      for (std::size_t i = 0; i < half; ++i) {
        const double cosine = in[2][position * half + i];
        const double sine = in[3][position * half + i] * (s.inverse ? -1.0 : 1.0);
        y[at + i] = in[0][at + i] * cosine - in[0][at + i + half] * sine;
        y[at + i + half] = in[0][at + i + half] * cosine + in[0][at + i] * sine;
      }
    }
  }
  return y;
}

OpCase make_case(const RotaryCase& s) {
  OpCase out;
  out.label = fmt::format("{}x{}x{}{}", s.tokens, s.heads, s.size, s.inverse ? ", inverse" : "");
  const std::int64_t half = s.size / 2;
  std::vector<float> cosine, sine;
  for (std::int64_t position = 0; position < kPositions; ++position) {
    for (std::int64_t i = 0; i < half; ++i) {
      const double exponent = -static_cast<double>(i) / static_cast<double>(half);
      const double angle = static_cast<double>(position) * std::pow(10000.0, exponent);
      cosine.push_back(static_cast<float>(std::cos(angle)));
      sine.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  out.inputs = {random_normal({s.tokens, s.heads, s.size}, 1),
                random_integers({s.tokens}, 2, kPositions),
                Tensor::from(cosine, {kPositions, half}), Tensor::from(sine, {kPositions, half})};
  out.has_gradient = {true, false, false, false};
  out.forward = [s](const Tensors& in) -> Tensors { return {turn(in, in[0], s.inverse)}; };
  out.backward = [s](const Tensors& in, const Tensors&, const Tensors& grads) -> Tensors {
    return {turn(in, grads[0], !s.inverse), {}, {}, {}};
  };
  out.reference = [s](const Doubles& in) -> Doubles { return {reference(s, in)}; };
  out.tolerance = 1e-7;
  out.gradient_tolerance = 1e-6;
  out.bytes = 8.0 * static_cast<double>(s.tokens * s.heads * s.size);
  out.flops = 3.0 * static_cast<double>(s.tokens * s.heads * s.size);
  out.backward_bytes = out.bytes;
  out.backward_flops = out.flops;
  return out;
}

std::vector<OpCase> test_cases() {
  return {make_case({5, 3, 16}), make_case({1, 1, 2}),  make_case({17, 2, 6, true}),
          make_case({3, 1, 34}), make_case({0, 4, 16}), make_case({2, 5, 64, true})};
}

std::vector<OpCase> bench_cases() {
  return {make_case({468, 4, 16}), make_case({4096, 8, 64})};
}

const bool registered = register_op({"rotary", test_cases, bench_cases});

}  // namespace
}  // namespace slotwise::testing
