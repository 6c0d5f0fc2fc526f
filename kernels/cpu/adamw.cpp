// Optimizer steps on the CPU: one vectorised, threaded pass over parameter, gradient and state.
#include "kernels/adamw.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/parallel.h"
#include "kernels/adamw_numbers.h"
#include "kernels/elementwise.h"

namespace slotwise::kernels::cpu {
namespace {

constexpr std::int64_t kGrain = 1 << 14;

float optional_scale(const Tensor& scale) {
  return scale.defined() ? scale.data<float>()[0] : 1.0f;
}

// The numbers of one step, and the update of one range of elements.
struct AdamWStep : AdamWNumbers {
  float *parameter, *first, *second;
  const float* gradient;
  float gradient_scale;

  explicit AdamWStep(const AdamW& args)
      : AdamWNumbers(args),
        parameter(args.parameter.data<float>()),
        first(args.first_moment.data<float>()),
        second(args.second_moment.data<float>()),
        gradient(args.gradient.data<float>()),
        gradient_scale(optional_scale(args.gradient_scale)) {}

  template <bool kHasGradient>
  void update(std::int64_t begin, std::int64_t end) const {
    float* __restrict p = parameter;
    float* __restrict m_of = first;
    float* __restrict v_of = second;
    const float* __restrict g_of = gradient;
    const float rest1 = 1.0f - beta1, rest2 = 1.0f - beta2;
    const float scale = gradient_scale, b1 = beta1, b2 = beta2, step_rate = rate, step_root = root,
                kept = keep, small = epsilon;
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      const float g = kHasGradient ? g_of[i] * scale : 0.0f;
      const float m = b1 * m_of[i] + rest1 * g;
      const float v = b2 * v_of[i] + rest2 * (g * g);
      m_of[i] = m;
      v_of[i] = v;
      p[i] = p[i] * kept - step_rate * m / (std::sqrt(v) * step_root + small);
    }
  }
};

void update_table(const AdamW& args, const AdamWStep& step) {
  const std::int64_t rows = args.parameter.size(0), D = args.parameter.size(1);
  const std::uint8_t* touched = args.touched.data<std::uint8_t>();
  std::uint8_t* live = args.live.data<std::uint8_t>();
  const std::int64_t grain = std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(D, 1));
  parallel_for(rows, grain, [=](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t row = begin; row < end; ++row) {
      if (touched[row] != 0) {
        live[row] = 1;
        step.update<true>(row * D, (row + 1) * D);
      } else if (live[row] != 0) {
        step.update<false>(row * D, (row + 1) * D);
      }
    }
  });
}

}  // namespace

void adamw(const AdamW& args) {
  const AdamWStep step(args);
  if (std::isnan(step.gradient_scale)) return;
  if (args.touched.defined()) return update_table(args, step);
  parallel_for(args.parameter.elements(), kGrain,
               [=](std::int64_t begin, std::int64_t end, int) { step.update<true>(begin, end); });
}

void adamw_all(const AdamWAll& args) {
  for (const AdamW& step : args.steps) cpu::adamw(step);
}

void sgd(const Sgd& args) {
  float* parameter = args.parameter.data<float>();
  float* velocity = args.momentum == 0.0f ? nullptr : args.velocity.data<float>();
  const float* gradient = args.gradient.data<float>();
  const float gradient_scale = optional_scale(args.gradient_scale);
  if (std::isnan(gradient_scale)) return;
  const float rate = args.learning_rate;
  const float momentum = args.momentum;
  const float decay = args.weight_decay;
  parallel_for(args.parameter.elements(), kGrain, [=](std::int64_t begin, std::int64_t end, int) {
    if (velocity == nullptr) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) {
        const float g = gradient[i] * gradient_scale + decay * parameter[i];
        parameter[i] -= rate * g;
      }
    } else {
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) {
        const float g = gradient[i] * gradient_scale + decay * parameter[i];
        velocity[i] = momentum * velocity[i] + g;
        parameter[i] -= rate * velocity[i];
      }
    }
  });
}

void squared_norms(const SquaredNorms& args) {
  args.sums.zero();
  for (const SquaredNorms::Part& part : args.parts) {
    cpu::dot_product({.out = {args.sums.slice(part.group, part.group + 1), true},
                      .a = part.x,
                      .b = part.x,
                      .rows = part.rows});
  }
}

void clip_scale(const ClipScale& args) {
  const std::span<const float> sums = args.sum_of_squares.span<float>();
  const std::span<float> scale = args.scale.span<float>();
  const bool finite =
      std::all_of(sums.begin(), sums.end(), [](float x) { return std::isfinite(x); });
  for (std::size_t g = 0; g < sums.size(); ++g) {
    const float wanted = args.max_norm > 0.0f ? args.max_norm / (std::sqrt(sums[g]) + 1e-6f) : 1.0f;
    scale[g] = finite ? std::min(wanted, 1.0f) : std::numeric_limits<float>::quiet_NaN();
  }
}

}  // namespace slotwise::kernels::cpu
