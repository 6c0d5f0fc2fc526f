// The small element-wise ops: add_scaled, scale, dot_product.
#include "kernels/elementwise.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "tests/kernels/ops/sinks.h"

namespace slotwise::testing {
namespace {

constexpr float kFactor = -0.75f;

// Inputs of all three: a, b (unused by scale), a [1] factor on the device or [0] for none.
OpCase base_case(std::int64_t size, bool device_factor, bool accumulate) {
  OpCase out;
  out.label = fmt::format("{}{}{}", size, device_factor ? ", factor tensor" : "",
                          accumulate ? ", adding" : "");
  out.inputs = {random_normal({size}, 1), random_normal({size}, 2),
                device_factor ? random_normal({1}, 3) : Tensor::empty({0})};
  return out;
}

Tensor optional_factor(const Tensor& tensor) {
  return tensor.elements() > 0 ? tensor : Tensor();
}

double factor_of(const Doubles& in) {
  return static_cast<double>(kFactor) * (in[2].empty() ? 1.0 : in[2][0]);
}

OpCase add_scaled_case(std::int64_t size, bool device_factor, bool in_place) {
  OpCase out = base_case(size, device_factor, in_place);
  out.forward = [in_place](const Tensors& in) -> Tensors {
    const Tensor a = in_place ? in[0].clone() : in[0];
    const Tensor y = in_place ? a : Tensor::empty_like(a);
    kernels::add_scaled(
        {.y = y, .a = a, .b = in[1], .scale = optional_factor(in[2]), .factor = kFactor});
    return {y};
  };
  out.reference = [](const Doubles& in) -> Doubles {
    std::vector<double> y = in[0];
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += factor_of(in) * in[1][i];
    return {y};
  };
  out.tolerance = 2e-7;
  out.bytes = 12.0 * static_cast<double>(size);
  out.flops = 2.0 * static_cast<double>(size);
  return out;
}

OpCase scale_case(std::int64_t size, bool device_factor, bool accumulate) {
  OpCase out = base_case(size, device_factor, accumulate);
  out.forward = [accumulate](const Tensors& in) -> Tensors {
    const Sink sink = sink_like(in[0], accumulate);
    kernels::scale({.out = sink, .x = in[0], .scale = optional_factor(in[2]), .factor = kFactor});
    return {contribution(sink)};
  };
  out.reference = [](const Doubles& in) -> Doubles {
    std::vector<double> y = in[0];
    for (double& value : y) value *= factor_of(in);
    return {y};
  };
  out.tolerance = accumulate ? 5e-7 : 1e-7;
  out.bytes = 8.0 * static_cast<double>(size);
  out.flops = static_cast<double>(size);
  return out;
}

OpCase dot_product_case(std::int64_t size, bool accumulate, bool same = false) {
  OpCase out = base_case(size, false, accumulate);
  out.label += same ? ", with itself" : "";
  out.forward = [accumulate, same](const Tensors& in) -> Tensors {
    const Sink sink = sink_like(Tensor::empty({1}, DType::f32, in[0].device()), accumulate);
    kernels::dot_product({.out = sink, .a = in[0], .b = same ? in[0] : in[1]});
    return {contribution(sink)};
  };
  out.reference = [same](const Doubles& in) -> Doubles {
    double sum = 0.0;
    for (std::size_t i = 0; i < in[0].size(); ++i) sum += in[0][i] * in[same ? 0 : 1][i];
    return {{sum}};
  };
  // Summed in double, rounded once; adding to a number rounds it again.
  out.tolerance = accumulate ? 1e-6 : 1e-7;
  out.bytes = (same ? 4.0 : 8.0) * static_cast<double>(size);
  out.flops = 2.0 * static_cast<double>(size);
  return out;
}

// Rows that are not marked hold NaN: they must not be read.
OpCase marked_rows_case(std::int64_t rows, std::int64_t columns) {
  OpCase out;
  out.label = fmt::format("marked rows of {}x{}", rows, columns);
  const Tensor x = random_normal({rows, columns}, 1), marks = random_integers({rows}, 2, 3);
  const Tensor marked = Tensor::empty({rows}, DType::u8);
  for (std::int64_t row = 0; row < rows; ++row) {
    const bool counts = marks.data<std::int32_t>()[row] == 0;
    marked.data<std::uint8_t>()[row] = counts ? 1 : 0;
    if (!counts) std::fill_n(x.data<float>() + row * columns, columns, NAN);
  }
  out.inputs = {x, marked};
  out.forward = [](const Tensors& in) -> Tensors {
    const Tensor sum = Tensor::empty({1}, DType::f32, in[0].device());
    kernels::dot_product({.out = {sum}, .a = in[0], .b = in[0], .rows = in[1]});
    return {sum};
  };
  out.reference = [columns](const Doubles& in) -> Doubles {
    double sum = 0.0;
    for (std::size_t i = 0; i < in[0].size(); ++i) {
      if (in[1][i / static_cast<std::size_t>(columns)] != 0.0) sum += in[0][i] * in[0][i];
    }
    return {{sum}};
  };
  out.tolerance = 1e-7;
  return out;
}

constexpr std::int64_t kMany = 70001;  // several chunks and threads
constexpr std::int64_t kBench = 1 << 24;

const bool registered_add_scaled =
    register_op({"add_scaled",
                 [] {
                   return std::vector<OpCase>{
                       add_scaled_case(17, false, false), add_scaled_case(67, true, true),
                       add_scaled_case(1, true, false), add_scaled_case(0, false, false),
                       add_scaled_case(kMany, false, true)};
                 },
                 [] { return std::vector<OpCase>{add_scaled_case(kBench, false, false)}; }});

const bool registered_scale = register_op(
    {"scale",
     [] {
       return std::vector<OpCase>{scale_case(17, false, false), scale_case(67, true, true),
                                  scale_case(1, true, false), scale_case(0, false, true),
                                  scale_case(kMany, false, true)};
     },
     [] { return std::vector<OpCase>{scale_case(kBench, true, false)}; }});

const bool registered_dot_product =
    register_op({"dot_product",
                 [] {
                   return std::vector<OpCase>{dot_product_case(17, false),
                                              dot_product_case(1, true),
                                              dot_product_case(0, false),
                                              dot_product_case(0, true),
                                              dot_product_case(kMany, false),
                                              dot_product_case(67, false, true),
                                              dot_product_case(kMany, true, true),
                                              marked_rows_case(67, 33),
                                              marked_rows_case(3, 1),
                                              marked_rows_case(1000, 129)};
                 },
                 [] {
                   return std::vector<OpCase>{dot_product_case(kBench, false),
                                              dot_product_case(kBench, false, true)};
                 }});

// NaN and infinities here and there; with marked rows those elsewhere do not count.
OpCase non_finite_case(std::int64_t rows, std::int64_t columns, bool marked) {
  OpCase out;
  out.label = fmt::format("{}x{}{}", rows, columns, marked ? ", marked rows" : "");
  const Tensor x = random_normal({rows, columns}, 1), marks = Tensor::empty({rows}, DType::u8);
  for (std::int64_t i = 0; i < x.elements(); i += 5) {
    x.data<float>()[i] = i % 3 == 0 ? NAN : i % 3 == 1 ? INFINITY : -INFINITY;
  }
  for (std::int64_t row = 0; row < rows; ++row) marks.data<std::uint8_t>()[row] = row % 2 == 0;
  out.inputs = {x, marks};
  out.forward = [marked](const Tensors& in) -> Tensors {
    const Tensor count = Tensor::empty({1}, DType::i32, in[0].device());
    kernels::count_non_finite({.count = count, .x = in[0], .rows = marked ? in[1] : Tensor()});
    return {count};
  };
  out.reference = [marked, columns](const Doubles& in) -> Doubles {
    double count = 0.0;
    for (std::size_t i = 0; i < in[0].size(); ++i) {
      const bool seen = !marked || in[1][i / static_cast<std::size_t>(columns)] != 0.0;
      if (seen && !std::isfinite(in[0][i])) ++count;
    }
    return {{count}};
  };
  out.tolerance = 0.0;
  out.bytes = 4.0 * static_cast<double>(rows * columns) * (marked ? 0.5 : 1.0);
  return out;
}

const bool registered_non_finite = register_op(
    {"count_non_finite",
     [] {
       return std::vector<OpCase>{non_finite_case(7, 3, false), non_finite_case(7, 3, true),
                                  non_finite_case(0, 4, false), non_finite_case(3000, 41, true)};
     },
     [] {
       return std::vector<OpCase>{non_finite_case(1 << 14, 1024, false),
                                  non_finite_case(1 << 14, 1024, true)};
     }});

}  // namespace
}  // namespace slotwise::testing
