// Selection from given half scores, with ties everywhere: the scores are small integers, exact in
// every order of addition, so slots and scores must be the same on every device. And the softmax
// over the chosen scores.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>

#include "kernels/product_key.h"
#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

struct SelectCase {
  std::int64_t rows, sub_keys, k;
  std::int32_t levels;  // distinct half scores: 1 means that all are equal
};

// The order that kernels/product_key.h promises.
Doubles select_reference(const SelectCase& s, const Doubles& in) {
  const auto n = static_cast<std::size_t>(s.sub_keys);
  Doubles out(2);
  for (std::size_t row = 0; row < static_cast<std::size_t>(s.rows); ++row) {
    const double* first = in[0].data() + row * 2 * n;
    const double* second = first + n;
    std::vector<std::size_t> order(n * n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto rank = [&](std::size_t slot) {
      const double a = first[slot / n], b = second[slot % n];
      return std::tuple(-(a + b), -a, -b, slot);
    };
    std::sort(order.begin(), order.end(),
              [&](std::size_t x, std::size_t y) { return rank(x) < rank(y); });
    for (std::size_t j = 0; j < static_cast<std::size_t>(s.k); ++j) {
      out[0].push_back(static_cast<double>(order[j]));
      out[1].push_back(first[order[j] / n] + second[order[j] % n]);
    }
  }
  return out;
}

OpCase select_case(const SelectCase& s) {
  OpCase out;
  out.label = fmt::format("{} rows, n {}, k {}, {} levels", s.rows, s.sub_keys, s.k, s.levels);
  const Tensor halves = Tensor::empty({s.rows, 2, s.sub_keys});
  const Tensor drawn = random_integers(halves.shape(), 1, s.levels);
  for (std::int64_t i = 0; i < halves.elements(); ++i) {
    halves.data<float>()[i] = static_cast<float>(drawn.data<std::int32_t>()[i] - s.levels / 2);
  }
  out.inputs = {halves};
  out.forward = [s](const Tensors& in) -> Tensors {
    const Tensor slots = Tensor::empty({s.rows, s.k}, DType::i32, in[0].device());
    const Tensor scores = Tensor::empty({s.rows, s.k}, DType::f32, in[0].device());
    kernels::product_key_select({.slots = slots, .scores = scores, .half_scores = in[0]});
    return {slots, scores};
  };
  out.reference = [s](const Doubles& in) { return select_reference(s, in); };
  out.tolerance = 0.0;
  out.bytes = 8.0 * static_cast<double>(s.rows * (s.sub_keys + s.k));
  return out;
}

// NaN ranks below all numbers, and infinities are ordinary scores: the slots must agree.
OpCase odd_scores_case(const SelectCase& s) {
  OpCase out = select_case(s);
  out.label += ", NaN and infinities";
  float* scores = out.inputs[0].data<float>();
  const Tensor places =
      random_integers({24}, 2, static_cast<std::int32_t>(2 * s.rows * s.sub_keys));
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kOdd[] = {std::numeric_limits<float>::quiet_NaN(), kInfinity, -kInfinity, -0.0f};
  for (std::int64_t i = 0; i < places.elements(); ++i) {
    scores[places.data<std::int32_t>()[i]] = kOdd[i % 4];
  }
  out.forward = [both = out.forward](const Tensors& in) -> Tensors { return {both(in)[0]}; };
  return out;
}

std::vector<OpCase> wide_select_cases() {
  return {select_case({3, 1024, 32, 1000}),     select_case({2, 1024, 32, 1}),
          select_case({2, 512, 256, 7}),        select_case({2, 300, 100, 5}),
          select_case({2, 1024, 210, 1 << 20}), odd_scores_case({3, 1024, 32, 1000}),
          odd_scores_case({4, 256, 8, 40})};
}

OpCase softmax_case(std::int64_t rows, std::int64_t columns, float std) {
  OpCase out;
  out.label = fmt::format("{}x{}, std {}", rows, columns, std);
  out.inputs = {random_normal({rows, columns}, 1, std)};
  out.forward = [](const Tensors& in) -> Tensors {
    const Tensor y = Tensor::empty_like(in[0]);
    kernels::softmax_rows({.y = y, .x = in[0]});
    return {y};
  };
  out.reference = [columns](const Doubles& in) -> Doubles {
    std::vector<double> y = in[0];
    for (auto row = y.begin(); row != y.end(); row += columns) {
      const double most = *std::max_element(row, row + columns);
      double total = 0.0;
      for (std::int64_t i = 0; i < columns; ++i) total += row[i] = std::exp(row[i] - most);
      for (std::int64_t i = 0; i < columns; ++i) row[i] /= total;
    }
    return {y};
  };
  out.tolerance = 1e-6;
  out.bytes = 8.0 * static_cast<double>(rows * columns);
  out.flops = 5.0 * static_cast<double>(rows * columns);
  return out;
}

const bool registered_select = register_op(
    {"product_key_select",
     [] {
       return std::vector<OpCase>{select_case({3, 7, 3, 5}),   select_case({2, 5, 5, 1}),
                                  select_case({1, 1, 1, 3}),   select_case({0, 4, 2, 3}),
                                  select_case({5, 40, 32, 9}), select_case({4, 64, 33, 1000})};
     },
     // So many levels that ties are rare.
     [] {
       return std::vector<OpCase>{select_case({16384, 128, 4, 1 << 20}),
                                  select_case({4096, 1024, 32, 1 << 20})};
     },
     wide_select_cases});

const bool registered_softmax =
    register_op({"softmax_rows",
                 [] {
                   return std::vector<OpCase>{softmax_case(5, 7, 1.0f), softmax_case(3, 1, 1.0f),
                                              softmax_case(0, 4, 1.0f), softmax_case(9, 33, 20.0f)};
                 },
                 [] { return std::vector<OpCase>{softmax_case(1 << 17, 32, 1.0f)}; }});

}  // namespace
}  // namespace slotwise::testing
