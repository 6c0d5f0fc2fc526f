// Optimizer steps on the CPU: one vectorised, threaded pass over parameter, gradient and state.
#include "kernels/adamw.h"

#include <cmath>

#include "core/parallel.h"

namespace slotwise::kernels::cpu {
namespace {

constexpr std::int64_t kGrain = 1 << 14;

float optional_scale(const Tensor& scale) {
  return scale.defined() ? scale.data<float>()[0] : 1.0f;
}

}  // namespace

void adamw(const AdamW& args) {
  float* parameter = args.parameter.data<float>();
  float* first = args.first_moment.data<float>();
  float* second = args.second_moment.data<float>();
  const float* gradient = args.gradient.data<float>();
  const float gradient_scale = optional_scale(args.gradient_scale);
  const float beta1 = args.beta1;
  const float beta2 = args.beta2;
  const float rest1 = 1.0f - beta1;
  const float rest2 = 1.0f - beta2;
  // In double: beta^step and its distance from 1 lose digits in fp32.
  const double step = static_cast<double>(args.step);
  const double bias1 = 1.0 - std::pow(static_cast<double>(beta1), step);
  const double bias2 = 1.0 - std::pow(static_cast<double>(beta2), step);
  const float rate = static_cast<float>(static_cast<double>(args.learning_rate) / bias1);
  const float root = static_cast<float>(1.0 / std::sqrt(bias2));
  const float keep = static_cast<float>(1.0 - static_cast<double>(args.learning_rate) *
                                                  static_cast<double>(args.weight_decay));
  const float epsilon = args.epsilon;
  parallel_for(args.parameter.elements(), kGrain, [=](std::int64_t begin, std::int64_t end, int) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      const float g = gradient[i] * gradient_scale;
      const float m = beta1 * first[i] + rest1 * g;
      const float v = beta2 * second[i] + rest2 * (g * g);
      first[i] = m;
      second[i] = v;
      parameter[i] = parameter[i] * keep - rate * m / (std::sqrt(v) * root + epsilon);
    }
  });
}

void sgd(const Sgd& args) {
  float* parameter = args.parameter.data<float>();
  float* velocity = args.momentum == 0.0f ? nullptr : args.velocity.data<float>();
  const float* gradient = args.gradient.data<float>();
  const float gradient_scale = optional_scale(args.gradient_scale);
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

void clip_scale(const ClipScale& args) {
  const float norm = std::sqrt(args.sum_of_squares.data<float>()[0]);
  const float scale = args.max_norm / (norm + 1e-6f);
  // A NaN norm stays NaN: it must reach the parameters' check, not look like "no clipping".
  args.scale.data<float>()[0] = scale > 1.0f ? 1.0f : scale;
}

}  // namespace slotwise::kernels::cpu
