// Steps on chosen rows: an Adam step, and an SGD step. No gradient: these end the backward pass.
#include "kernels/row_optimizer.h"

#include <fmt/core.h>

#include <cmath>

#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

struct RowCase {
  std::int64_t slots, columns, rows;
  bool gap = false;     // a place without a row
  float factor = 1.0f;  // of the gradient; NaN: nothing changes
};

// Distinct rows of the table, from the last one down; state rows in another order.
std::vector<std::int32_t> table_rows(const RowCase& s) {
  std::vector<std::int32_t> rows;
  for (std::int64_t i = 0; i < s.rows; ++i)
    rows.push_back(static_cast<std::int32_t>(s.slots - 1 - i));
  if (s.gap && s.rows > 1) rows[1] = -1;
  return rows;
}
std::vector<std::int32_t> state_rows(const RowCase& s) {
  std::vector<std::int32_t> rows;
  for (std::int64_t i = 0; i < s.rows; ++i)
    rows.push_back(static_cast<std::int32_t>((i + 1) % s.rows));
  return rows;
}

constexpr float kRate = 0.01f, kBeta1 = 0.8f, kBeta2 = 0.95f, kEpsilon = 1e-6f;

// Inputs: values, first moment, second moment, steps, rows, state rows, gradient.
Doubles adam_reference(const RowCase& s, const Doubles& in) {
  Doubles out(in.begin(), in.begin() + 4);
  const auto columns = static_cast<std::size_t>(s.columns);
  const double beta1 = static_cast<double>(kBeta1), beta2 = static_cast<double>(kBeta2);
  for (std::size_t i = 0; i < in[4].size(); ++i) {
    if (in[4][i] < 0 || std::isnan(s.factor)) continue;
    const auto row = static_cast<std::size_t>(in[4][i]), state = static_cast<std::size_t>(in[5][i]);
    const double step = ++out[3][state];
    for (std::size_t d = 0; d < columns; ++d) {
      const double g = in[6][i * columns + d] * static_cast<double>(s.factor);
      double& first = out[1][state * columns + d];
      double& second = out[2][state * columns + d];
      first = beta1 * first + (1 - beta1) * g;
      second = beta2 * second + (1 - beta2) * g * g;
      const double root = std::sqrt(second / (1 - std::pow(beta2, step)));
      out[0][row * columns + d] -= static_cast<double>(kRate) * first /
                                   (1 - std::pow(beta1, step)) /
                                   (root + static_cast<double>(kEpsilon));
    }
  }
  return out;
}

OpCase adam_case(const RowCase& s) {
  OpCase out;
  out.label = fmt::format("{} rows of {}x{}{}, factor {}", s.rows, s.slots, s.columns,
                          s.gap ? " with a gap" : "", s.factor);
  const Tensor second = random_normal({s.rows, s.columns}, 3, 0.1f);
  for (float& x : second.span<float>()) x = x * x;
  out.inputs = {random_normal({s.slots, s.columns}, 1),
                random_normal({s.rows, s.columns}, 2, 0.1f),
                second,
                random_integers({s.rows}, 4, 6),
                Tensor::from(table_rows(s), {s.rows}),
                Tensor::from(state_rows(s), {s.rows}),
                random_normal({s.rows, s.columns}, 5, 0.1f),
                Tensor::from<float>({s.factor}, {1})};
  out.has_gradient.assign(out.inputs.size(), false);
  const auto run = [](const Tensors& changed, const Tensors& in) {
    kernels::row_adam({.values = changed[0],
                       .first_moment = changed[1],
                       .second_moment = changed[2],
                       .steps = changed[3],
                       .rows = in[4],
                       .state_row = in[5],
                       .gradient = in[6],
                       .learning_rate = kRate,
                       .beta1 = kBeta1,
                       .beta2 = kBeta2,
                       .epsilon = kEpsilon,
                       .gradient_scale = in[7]});
  };
  out.forward = [run](const Tensors& in) -> Tensors {
    const Tensors changed = {in[0].clone(), in[1].clone(), in[2].clone(), in[3].clone()};
    run(changed, in);
    return changed;
  };
  out.timed = [run](const Tensors& in) { run(in, in); };
  out.reference = [s](const Doubles& in) { return adam_reference(s, in); };
  out.tolerance = 5e-7;
  out.bytes = 28.0 * static_cast<double>(s.rows * s.columns);
  out.flops = 15.0 * static_cast<double>(s.rows * s.columns);
  return out;
}

OpCase sgd_case(const RowCase& s) {
  OpCase out;
  out.label = fmt::format("{} rows of {}x{}{}, factor {}", s.rows, s.slots, s.columns,
                          s.gap ? " with a gap" : "", s.factor);
  out.inputs = {random_normal({s.slots, s.columns}, 1), Tensor::from(table_rows(s), {s.rows}),
                random_normal({s.rows, s.columns}, 5), Tensor::from<float>({s.factor}, {1})};
  out.has_gradient.assign(out.inputs.size(), false);
  const auto run = [](const Tensor& values, const Tensors& in) {
    kernels::row_sgd({.values = values,
                      .rows = in[1],
                      .gradient = in[2],
                      .learning_rate = kRate,
                      .gradient_scale = in[3]});
  };
  out.forward = [run](const Tensors& in) -> Tensors {
    const Tensor values = in[0].clone();
    run(values, in);
    return {values};
  };
  out.timed = [run](const Tensors& in) { run(in[0], in); };
  out.reference = [s](const Doubles& in) -> Doubles {
    std::vector<double> values = in[0];
    const auto columns = static_cast<std::size_t>(s.columns);
    for (std::size_t i = 0; i < in[2].size(); ++i) {
      if (in[1][i / columns] < 0 || std::isnan(s.factor)) continue;
      const auto row = static_cast<std::size_t>(in[1][i / columns]);
      values[row * columns + i % columns] -=
          static_cast<double>(kRate) * in[2][i] * static_cast<double>(s.factor);
    }
    return {values};
  };
  out.tolerance = 2e-7;
  out.bytes = 12.0 * static_cast<double>(s.rows * s.columns);
  out.flops = 2.0 * static_cast<double>(s.rows * s.columns);
  return out;
}

template <class Make>
std::vector<OpCase> cases(Make&& make, const std::vector<RowCase>& sizes) {
  std::vector<OpCase> out;
  for (const RowCase& size : sizes) out.push_back(make(size));
  return out;
}

const std::vector<RowCase>& small_sizes() {
  static const std::vector<RowCase> sizes = {
      {9, 7, 4}, {5, 64, 5}, {1, 1, 1}, {6, 33, 0}, {9, 7, 4, true, 0.3f}, {9, 8, 4, true, NAN}};
  return sizes;
}
// More columns than one pass of a block.
const std::vector<RowCase>& wide_sizes() {
  static const std::vector<RowCase> sizes = {{9, 1032, 4, true, 0.3f}, {700, 264, 600}};
  return sizes;
}
const std::vector<RowCase>& large_sizes() {
  static const std::vector<RowCase> sizes = {{16384, 64, 500}, {16384, 1024, 500}};
  return sizes;
}

const bool adam_registered =
    register_op({"row_adam", [] { return cases(adam_case, small_sizes()); },
                 [] { return cases(adam_case, large_sizes()); },
                 [] { return cases(adam_case, wide_sizes()); }});
const bool sgd_registered = register_op({"row_sgd", [] { return cases(sgd_case, small_sizes()); },
                                         [] { return cases(sgd_case, large_sizes()); },
                                         [] { return cases(sgd_case, wide_sizes()); }});

}  // namespace
}  // namespace slotwise::testing
