#include "kernels/row_optimizer.h"

#include <algorithm>
#include <cmath>

#include "core/parallel.h"

namespace slotwise::kernels::cpu {
namespace {

std::int64_t rows_a_part(std::int64_t D) {
  return std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(D, 1));
}

float scale_of(const Tensor& scale) {
  return scale.defined() ? scale.data<float>()[0] : 1.0f;
}

}  // namespace

void row_adam(const RowAdam& args) {
  const float scale = scale_of(args.gradient_scale);
  if (std::isnan(scale)) return;
  const std::int64_t D = args.values.size(1);
  const std::int32_t* rows = args.rows.data<std::int32_t>();
  const std::int32_t* state_row = args.state_row.data<std::int32_t>();
  std::int32_t* steps = args.steps.data<std::int32_t>();
  const float beta1 = args.beta1, beta2 = args.beta2, epsilon = args.epsilon;
  parallel_for(args.rows.elements(), rows_a_part(D),
               [&](std::int64_t begin, std::int64_t end, int) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   if (rows[i] < 0) continue;
                   const std::int64_t state = state_row[i];
                   const double step = ++steps[state];
                   const double correction1 = 1.0 - std::pow(static_cast<double>(beta1), step);
                   const double correction2 = 1.0 - std::pow(static_cast<double>(beta2), step);
                   const auto rate = static_cast<float>(args.learning_rate / correction1);
                   const auto root_scale = static_cast<float>(1.0 / std::sqrt(correction2));
                   float* __restrict value = args.values.data<float>() + rows[i] * D;
                   float* __restrict first = args.first_moment.data<float>() + state * D;
                   float* __restrict second = args.second_moment.data<float>() + state * D;
                   const float* __restrict gradient = args.gradient.data<float>() + i * D;
#pragma omp simd
                   for (std::int64_t d = 0; d < D; ++d) {
                     const float g = gradient[d] * scale;
                     first[d] = beta1 * first[d] + (1.0f - beta1) * g;
                     second[d] = beta2 * second[d] + (1.0f - beta2) * g * g;
                     value[d] -= rate * first[d] / (std::sqrt(second[d]) * root_scale + epsilon);
                   }
                 }
               });
}

void row_sgd(const RowSgd& args) {
  const float scale = scale_of(args.gradient_scale);
  if (std::isnan(scale)) return;
  const std::int64_t D = args.values.size(1);
  const std::int32_t* rows = args.rows.data<std::int32_t>();
  const float rate = args.learning_rate;
  parallel_for(args.rows.elements(), rows_a_part(D),
               [&](std::int64_t begin, std::int64_t end, int) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   if (rows[i] < 0) continue;
                   float* __restrict value = args.values.data<float>() + rows[i] * D;
                   const float* __restrict gradient = args.gradient.data<float>() + i * D;
#pragma omp simd
                   for (std::int64_t d = 0; d < D; ++d) value[d] -= rate * (gradient[d] * scale);
                 }
               });
}

}  // namespace slotwise::kernels::cpu
