// Optimizer steps: AdamW, SGD and the clip factor. Updates have no gradient of their own.
#include "kernels/adamw.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

Tensor squared_normal(std::int64_t size, std::uint64_t seed) {
  const Tensor out = random_normal({size}, seed);
  for (float& value : out.span<float>()) value *= value;
  return out;
}

Tensor optional_scale(const Tensor& tensor) {
  return tensor.elements() > 0 ? tensor : Tensor();
}

double scale_of(const std::vector<double>& scale) {
  return scale.empty() ? 1.0 : scale[0];
}

struct AdamWCase {
  std::int64_t size;
  std::int64_t step = 1;
  float weight_decay = 0.0f;
  bool clip = false;
  float gradient_std = 1.0f;
  bool in_place = false;  // benchmarks do not time the copies
};

// Inputs: parameter, both moments, gradient, clip factor. Outputs: the first three, updated.
Tensors run_adamw(const AdamWCase& s, const Tensors& in) {
  Tensors out{in[0], in[1], in[2]};
  if (!s.in_place) out = {in[0].clone(), in[1].clone(), in[2].clone()};
  kernels::adamw({.parameter = out[0],
                  .first_moment = out[1],
                  .second_moment = out[2],
                  .gradient = in[3],
                  .gradient_scale = optional_scale(in[4]),
                  .learning_rate = 0.05f,
                  .beta1 = 0.9f,
                  .beta2 = 0.95f,
                  .epsilon = 1e-6f,
                  .weight_decay = s.weight_decay,
                  .step = s.step});
  return out;
}

// As torch.optim.AdamW writes it.
Doubles adamw_reference(const AdamWCase& s, const Doubles& in) {
  const double rate = 0.05f, beta1 = 0.9f, beta2 = 0.95f, epsilon = 1e-6f;
  const double step = static_cast<double>(s.step);
  const double bias1 = 1.0 - std::pow(beta1, step);
  const double bias2 = 1.0 - std::pow(beta2, step);
  Doubles out{in[0], in[1], in[2]};
  for (std::size_t i = 0; i < in[0].size(); ++i) {
    const double g = in[3][i] * scale_of(in[4]);
    out[0][i] *= 1.0 - rate * static_cast<double>(s.weight_decay);
    out[1][i] = beta1 * in[1][i] + (1.0 - beta1) * g;
    out[2][i] = beta2 * in[2][i] + (1.0 - beta2) * g * g;
    const double root = std::sqrt(out[2][i]) / std::sqrt(bias2) + epsilon;
    out[0][i] -= rate / bias1 * out[1][i] / root;
  }
  return out;
}

OpCase adamw_case(const AdamWCase& s) {
  OpCase out;
  out.label = fmt::format("{}, step {}, decay {}, gradients {}{}", s.size, s.step, s.weight_decay,
                          s.gradient_std, s.clip ? ", clip" : "");
  const bool first = s.step == 1;
  out.inputs = {random_normal({s.size}, 1),
                first ? Tensor::zeros({s.size}) : random_normal({s.size}, 2, 0.1f),
                first ? Tensor::zeros({s.size}) : squared_normal(s.size, 3),
                random_normal({s.size}, 4, s.gradient_std),
                s.clip ? Tensor::from<float>({0.3f}, {1}) : Tensor::empty({0})};
  out.forward = [s](const Tensors& in) { return run_adamw(s, in); };
  out.reference = [s](const Doubles& in) { return adamw_reference(s, in); };
  out.tolerance = 5e-7;
  out.bytes = 28.0 * static_cast<double>(s.size);
  out.flops = 15.0 * static_cast<double>(s.size);
  return out;
}

// A table with a gradient in every third row and moments in every other: the rows that neither has
// stay as they are. The last output says which rows have moments now.
OpCase adamw_rows_case(std::int64_t rows, std::int64_t columns) {
  OpCase out;
  out.label = fmt::format("{}x{}, touched rows", rows, columns);
  std::vector<std::uint8_t> touched, live;
  for (std::int64_t row = 0; row < rows; ++row) {
    touched.push_back(row % 3 == 1);
    live.push_back(row % 2);
  }
  const Shape shape = {rows, columns};
  const Tensor second = random_normal(shape, 3);
  for (float& value : second.span<float>()) value *= value;
  out.inputs = {random_normal(shape, 1), random_normal(shape, 2, 0.1f), second,
                random_normal(shape, 4), Tensor::from(touched, {rows}), Tensor::from(live, {rows})};
  out.forward = [](const Tensors& in) -> Tensors {
    const Tensors changed = {in[0].clone(), in[1].clone(), in[2].clone(), in[5].clone()};
    kernels::adamw({.parameter = changed[0],
                    .first_moment = changed[1],
                    .second_moment = changed[2],
                    .gradient = in[3],
                    .touched = in[4],
                    .live = changed[3],
                    .learning_rate = 0.05f,
                    .beta1 = 0.9f,
                    .beta2 = 0.95f,
                    .epsilon = 1e-6f,
                    .step = 7});
    return changed;
  };
  out.reference = [columns](const Doubles& in) -> Doubles {
    Doubles dense(in.begin(), in.begin() + 4);
    const auto width = static_cast<std::size_t>(columns);
    for (std::size_t i = 0; i < dense[3].size(); ++i) {
      if (in[4][i / width] == 0.0) dense[3][i] = 0.0;
    }
    dense.push_back({});
    Doubles result = adamw_reference({.size = 0, .step = 7}, dense);
    result.push_back(in[5]);
    for (std::size_t row = 0; row < in[5].size(); ++row) {
      if (in[4][row] != 0.0) {
        result[3][row] = 1.0;
      } else if (in[5][row] == 0.0) {
        for (std::size_t part = 0; part < 3; ++part) {
          const auto at = static_cast<std::ptrdiff_t>(row * width);
          std::copy_n(in[part].begin() + at, width, result[part].begin() + at);
        }
      }
    }
    return result;
  };
  out.tolerance = 5e-7;
  return out;
}

struct SgdCase {
  std::int64_t size;
  float momentum = 0.0f;
  float weight_decay = 0.0f;
  bool clip = false;
  bool in_place = false;
};

// Inputs: parameter, velocity, gradient, clip factor. Outputs: parameter, velocity.
Tensors run_sgd(const SgdCase& s, const Tensors& in) {
  Tensors out{in[0], in[1]};
  if (!s.in_place) out = {in[0].clone(), in[1].clone()};
  kernels::sgd({.parameter = out[0],
                .velocity = s.momentum > 0.0f ? out[1] : Tensor(),
                .gradient = in[2],
                .gradient_scale = optional_scale(in[3]),
                .learning_rate = 0.5f,
                .momentum = s.momentum,
                .weight_decay = s.weight_decay});
  return out;
}

Doubles sgd_reference(const SgdCase& s, const Doubles& in) {
  Doubles out{in[0], in[1]};
  for (std::size_t i = 0; i < in[0].size(); ++i) {
    double g = in[2][i] * scale_of(in[3]) + static_cast<double>(s.weight_decay) * in[0][i];
    if (s.momentum > 0.0f) g = out[1][i] = static_cast<double>(s.momentum) * in[1][i] + g;
    out[0][i] -= 0.5 * g;
  }
  return out;
}

OpCase sgd_case(const SgdCase& s) {
  OpCase out;
  out.label = fmt::format("{}, momentum {}, decay {}{}", s.size, s.momentum, s.weight_decay,
                          s.clip ? ", clip" : "");
  out.inputs = {random_normal({s.size}, 1), random_normal({s.size}, 2), random_normal({s.size}, 3),
                s.clip ? Tensor::from<float>({0.3f}, {1}) : Tensor::empty({0})};
  out.forward = [s](const Tensors& in) { return run_sgd(s, in); };
  out.reference = [s](const Doubles& in) { return sgd_reference(s, in); };
  out.tolerance = 5e-7;
  out.bytes = (s.momentum > 0.0f ? 20.0 : 12.0) * static_cast<double>(s.size);
  out.flops = (s.momentum > 0.0f ? 7.0 : 5.0) * static_cast<double>(s.size);
  return out;
}

// Several groups: a sum that is not finite makes the factor of all of them NaN.
OpCase clip_case(const std::vector<float>& sums, float max_norm) {
  OpCase out;
  out.label = fmt::format("{} to {}", fmt::join(sums, ", "), max_norm);
  out.inputs = {Tensor::from(sums, {static_cast<std::int64_t>(sums.size())})};
  out.forward = [max_norm](const Tensors& in) -> Tensors {
    const Tensor scale = Tensor::empty_like(in[0]);
    kernels::clip_scale({.scale = scale, .sum_of_squares = in[0], .max_norm = max_norm});
    return {scale};
  };
  out.reference = [max_norm](const Doubles& in) -> Doubles {
    std::vector<double> scale;
    const bool finite =
        std::all_of(in[0].begin(), in[0].end(), [](double x) { return std::isfinite(x); });
    for (const double sum : in[0]) {
      const double wanted =
          max_norm > 0 ? static_cast<double>(max_norm) / (std::sqrt(sum) + 1e-6) : 1.0;
      scale.push_back(finite ? std::min(wanted, 1.0) : NAN);
    }
    return {scale};
  };
  out.tolerance = 2e-7;
  out.bytes = 8.0 * static_cast<double>(sums.size());
  return out;
}

// Many tensors at once; their sizes are those of one stretch of a GPU's block and its neighbours.
OpCase all_case(const std::vector<std::int64_t>& sizes, float factor) {
  OpCase out;
  out.label = fmt::format("{} tensors, factor {}", sizes.size(), factor);
  std::vector<AdamWCase> parts;
  for (const std::int64_t size : sizes) {
    const AdamWCase part{.size = size, .step = 3, .weight_decay = size % 2 == 0 ? 0.1f : 0.0f};
    const OpCase one = adamw_case(part);
    out.inputs.insert(out.inputs.end(), one.inputs.begin(), one.inputs.begin() + 4);
    parts.push_back(part);
  }
  out.inputs.push_back(Tensor::from<float>({factor}, {1}));
  const auto run = [parts](const Tensors& in, bool in_place) -> Tensors {
    kernels::AdamWAll all;
    Tensors changed;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      for (std::size_t x = 0; x < 3; ++x) {
        changed.push_back(in_place ? in[4 * i + x] : in[4 * i + x].clone());
      }
      const Tensor* of = changed.data() + 3 * i;
      all.steps.push_back({.parameter = of[0],
                           .first_moment = of[1],
                           .second_moment = of[2],
                           .gradient = in[4 * i + 3],
                           .gradient_scale = in.back(),
                           .learning_rate = 0.05f,
                           .beta1 = 0.9f,
                           .beta2 = 0.95f,
                           .epsilon = 1e-6f,
                           .weight_decay = parts[i].weight_decay,
                           .step = parts[i].step});
    }
    kernels::adamw_all(all);
    return changed;
  };
  out.forward = [run](const Tensors& in) { return run(in, false); };
  out.timed = [run](const Tensors& in) { run(in, true); };
  out.reference = [parts](const Doubles& in) -> Doubles {
    Doubles results;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const auto first = in.begin() + static_cast<std::ptrdiff_t>(4 * i);
      Doubles one(first, first + 4);
      one.push_back(in.back());
      // A factor of NaN leaves all as it is.
      const bool left_out = std::isnan(in.back()[0]);
      const Doubles after = left_out ? Doubles(first, first + 3) : adamw_reference(parts[i], one);
      results.insert(results.end(), after.begin(), after.end());
    }
    return results;
  };
  out.tolerance = 5e-7;
  for (const std::int64_t size : sizes) {
    out.bytes += 28.0 * static_cast<double>(size);
    out.flops += 15.0 * static_cast<double>(size);
  }
  return out;
}

// Three groups, the second of which has no part; one part is a table with marked rows.
OpCase norms_case(std::int64_t size, std::int64_t rows, std::int64_t columns) {
  OpCase out;
  out.label = fmt::format("{} and {}x{}", size, rows, columns);
  const Tensor marks = Tensor::empty({rows}, DType::u8);
  const Tensor table = random_normal({rows, columns}, 3);
  for (std::int64_t row = 0; row < rows; ++row) {
    const bool marked = row % 3 == 1;
    marks.data<std::uint8_t>()[row] = marked ? 1 : 0;
    if (!marked) std::fill_n(table.data<float>() + row * columns, columns, NAN);
  }
  out.inputs = {random_normal({size}, 1), random_normal({size + 5}, 2), table, marks};
  out.forward = [](const Tensors& in) -> Tensors {
    const Tensor sums = Tensor::empty({3}, DType::f32, in[0].device());
    kernels::squared_norms(
        {.sums = sums, .parts = {{in[0], {}, 0}, {in[2], in[3], 2}, {in[1], {}, 0}}});
    return {sums};
  };
  out.reference = [columns](const Doubles& in) -> Doubles {
    std::vector<double> sums(3, 0.0);
    for (const std::size_t x : {0, 1}) {
      for (const double value : in[x]) sums[0] += value * value;
    }
    for (std::size_t i = 0; i < in[2].size(); ++i) {
      if (in[3][i / static_cast<std::size_t>(columns)] != 0.0) sums[2] += in[2][i] * in[2][i];
    }
    return {sums};
  };
  out.tolerance = 2e-7;
  out.flops = 2.0 * static_cast<double>(2 * size + 5 + rows / 3 * columns);
  out.bytes = 2.0 * out.flops + static_cast<double>(rows);
  return out;
}

constexpr std::int64_t kBench = 1 << 24;

const bool registered_adamw =
    register_op({"adamw",
                 [] {
                   return std::vector<OpCase>{adamw_case({17}),
                                              adamw_case({67, 3, 0.1f}),
                                              adamw_case({1, 100000, 0.1f, true}),
                                              adamw_case({0}),
                                              adamw_case({70001, 2, 0.01f, true}),
                                              adamw_case({33, 1, 0.0f, false, 1e-7f}),
                                              adamw_case({33, 2, 0.0f, true, 1e4f}),
                                              adamw_rows_case(300, 16),
                                              adamw_rows_case(70, 5)};
                 },
                 [] {
                   return std::vector<OpCase>{adamw_case({kBench, 10, 0.1f, true, 1.0f, true})};
                 }});

const bool registered_sgd =
    register_op({"sgd",
                 [] {
                   return std::vector<OpCase>{sgd_case({17}), sgd_case({67, 0.9f, 0.1f, true}),
                                              sgd_case({1, 0.5f}), sgd_case({0, 0.9f}),
                                              sgd_case({70001, 0.0f, 0.1f, true})};
                 },
                 [] {
                   return std::vector<OpCase>{sgd_case({kBench, 0.0f, 0.1f, false, true}),
                                              sgd_case({kBench, 0.9f, 0.1f, false, true})};
                 }});

const bool registered_clip_scale = register_op(
    {"clip_scale",
     [] {
       return std::vector<OpCase>{clip_case({4.0f}, 1.0f),        clip_case({0.25f}, 1.0f),
                                  clip_case({0.0f}, 1.0f),        clip_case({NAN}, 1.0f),
                                  clip_case({1e10f, 1.0f}, 0.5f), clip_case({INFINITY}, 1.0f),
                                  clip_case({4.0f, NAN}, 1.0f),   clip_case({9.0f, 4.0f}, 0.0f)};
     },
     [] {
       return std::vector<OpCase>{clip_case({4.0f, 0.25f}, 1.0f)};
     }});

const bool registered_all =
    register_op({"adamw_all",
                 [] {
                   const std::vector<std::int64_t> sizes{1, 8192, 0, 8191, 8193, 33};
                   return std::vector<OpCase>{all_case(sizes, 0.3f), all_case({7, 2}, 1.0f),
                                              all_case({7, 2}, NAN)};
                 },
                 // The matrices of two blocks of width 1024, and their gains.
                 [] {
                   std::vector<std::int64_t> sizes;
                   for (int block = 0; block < 2; ++block) {
                     for (const std::int64_t rows : {1024, 1024, 1024, 1024, 2816, 2816, 2816, 1}) {
                       sizes.push_back(rows * 1024);
                     }
                   }
                   return std::vector<OpCase>{all_case(sizes, 1.0f)};
                 }});

const bool registered_norms =
    register_op({"squared_norms",
                 [] {
                   return std::vector<OpCase>{norms_case(17, 7, 3), norms_case(0, 1, 1),
                                              norms_case(20000, 300, 70)};
                 },
                 [] { return std::vector<OpCase>{norms_case(kBench / 2, 1 << 14, 1024)}; }});

}  // namespace
}  // namespace slotwise::testing
