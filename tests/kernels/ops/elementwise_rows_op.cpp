// Conversion of elements and moving of rows: exact, so their tolerance is 0.
#include <fmt/core.h>

#include <cmath>

#include "kernels/elementwise.h"
#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

// To the nearest number with 8 significant bits, ties to even, infinity past the range: what bf16
// keeps of a normal fp32.
double nearest_bf16(double value) {
  if (value == 0.0 || !std::isfinite(value)) return value;
  int exponent = 0;
  const double fraction = std::frexp(value, &exponent);
  const double rounded = std::ldexp(std::nearbyint(std::ldexp(fraction, 8)), exponent - 8);
  return std::abs(rounded) >= std::ldexp(1.0, 128) ? std::copysign(INFINITY, rounded) : rounded;
}

Tensor converted(const Tensor& x, DType dtype) {
  const Tensor y = Tensor::empty(x.shape(), dtype, x.device());
  kernels::cast({.y = y, .x = x});
  return y;
}

// Outputs: x as bf16, that as f32 again, and copies of both.
OpCase cast_case(const Tensor& x, std::string label) {
  OpCase out;
  out.label = std::move(label);
  out.inputs = {x};
  out.forward = [](const Tensors& in) -> Tensors {
    const Tensor narrow = converted(in[0], DType::bf16);
    return {narrow, converted(narrow, DType::f32), converted(narrow, DType::bf16),
            converted(in[0], DType::f32)};
  };
  out.reference = [](const Doubles& in) -> Doubles {
    std::vector<double> y = in[0];
    for (double& value : y) value = nearest_bf16(value);
    return {y, y, y, in[0]};
  };
  out.tolerance = 0.0;
  return out;
}

std::vector<OpCase> cast_cases() {
  const float infinity = INFINITY;
  // Ties go to even: 1 + 1/256 down to 1, 1 + 3/256 up to 1 + 4/256.
  const std::vector<float> special{0.0f,      -0.0f,     1.00390625f, 1.01171875f, -1.00390625f,
                                   -infinity, infinity,  NAN,         -NAN,        3.4e38f,
                                   1e-30f,    65535.99f, 0.1f};
  return {cast_case(random_normal({17, 5}, 1), "17x5"),
          cast_case(random_normal({70001}, 2, 100.0f), "70001"),
          cast_case(Tensor::empty({0}), "none"),
          cast_case(Tensor::from(special, {static_cast<std::int64_t>(special.size())}), "special")};
}

std::vector<OpCase> cast_bench_cases() {
  constexpr std::int64_t kElements = 1 << 24;
  OpCase out;
  out.label = "f32 to bf16, 16 Mi";
  out.inputs = {random_normal({kElements}, 1)};
  out.forward = [](const Tensors& in) -> Tensors { return {converted(in[0], DType::bf16)}; };
  out.bytes = 6.0 * static_cast<double>(kElements);
  return {out};
}

// Distinct rows in a random order: every `stride`-th of a row count that `stride` does not divide.
Tensor distinct_rows(std::int64_t count, std::int64_t total) {
  const Tensor rows = Tensor::empty({count}, DType::i32);
  for (std::int64_t i = 0; i < count; ++i) {
    rows.data<std::int32_t>()[i] = static_cast<std::int32_t>((3 + 7 * i) % total);
  }
  return rows;
}

struct RowCase {
  std::int64_t total, columns, count;
  bool accumulate = false;
  bool in_place = false;  // a benchmark does not time the copy
};

OpCase gather_case(const RowCase& s) {
  OpCase out;
  out.label = fmt::format("{} of {}x{}", s.count, s.total, s.columns);
  out.inputs = {random_normal({s.total, s.columns}, 1),
                random_integers({s.count}, 2, static_cast<std::int32_t>(s.total))};
  out.has_gradient = {false, false};
  out.forward = [s](const Tensors& in) -> Tensors {
    const Tensor y = Tensor::empty({s.count, s.columns}, DType::f32, in[0].device());
    kernels::gather_rows({.y = y, .x = in[0], .rows = in[1]});
    return {y};
  };
  out.reference = [s](const Doubles& in) -> Doubles {
    std::vector<double> y;
    for (const double row : in[1]) {
      const auto first = in[0].begin() + static_cast<std::int64_t>(row) * s.columns;
      y.insert(y.end(), first, first + s.columns);
    }
    return {y};
  };
  out.tolerance = 0.0;
  out.bytes = 8.0 * static_cast<double>(s.count * s.columns);
  return out;
}

OpCase scatter_case(const RowCase& s) {
  OpCase out;
  out.label =
      fmt::format("{} of {}x{}{}", s.count, s.total, s.columns, s.accumulate ? ", adding" : "");
  out.inputs = {random_normal({s.total, s.columns}, 1), random_normal({s.count, s.columns}, 2),
                distinct_rows(s.count, s.total)};
  out.forward = [s](const Tensors& in) -> Tensors {
    const Tensor x = s.in_place ? in[0] : in[0].clone();
    kernels::scatter_rows({.x = x, .y = in[1], .rows = in[2], .accumulate = s.accumulate});
    return {x};
  };
  out.reference = [s](const Doubles& in) -> Doubles {
    std::vector<double> x = in[0];
    for (std::size_t i = 0; i < in[2].size(); ++i) {
      for (std::int64_t column = 0; column < s.columns; ++column) {
        double& to = x[static_cast<std::size_t>(in[2][i]) * s.columns + column];
        const double y = in[1][i * s.columns + column];
        to = s.accumulate ? to + y : y;
      }
    }
    return {x};
  };
  out.tolerance = s.accumulate ? 1e-7 : 0.0;
  out.bytes = (s.accumulate ? 12.0 : 8.0) * static_cast<double>(s.count * s.columns);
  return out;
}

const bool registered_cast = register_op({"cast", cast_cases, cast_bench_cases});

const bool registered_gather =
    register_op({"gather_rows",
                 [] {
                   return std::vector<OpCase>{gather_case({11, 5, 17}), gather_case({1, 1, 3}),
                                              gather_case({5, 3, 0}), gather_case({67, 300, 129})};
                 },
                 [] {
                   return std::vector<OpCase>{gather_case({1 << 18, 64, 1 << 16})};
                 }});

const bool registered_scatter = register_op(
    {"scatter_rows",
     [] {
       return std::vector<OpCase>{scatter_case({17, 5, 11}),   scatter_case({17, 5, 11, true}),
                                  scatter_case({5, 3, 0}),     scatter_case({1, 1, 1, true}),
                                  scatter_case({67, 300, 66}), scatter_case({67, 300, 66, true})};
     },
     [] {
       return std::vector<OpCase>{scatter_case({(1 << 18) + 1, 64, 1 << 16, false, true})};
     }});

}  // namespace
}  // namespace slotwise::testing
