// One group of lanes a row. Rows are distinct, so nothing is written twice; the bias corrections
// are worked out once a row, in double precision as on the CPU.
#include "kernels/row_optimizer.h"

#include "kernels/cuda/row_lanes.cuh"

namespace slotwise::kernels::cuda {
namespace {

struct AdamRows {
  float *values, *first_moment, *second_moment;
  std::int32_t* steps;
  const std::int32_t *rows, *state_row;
  const float *gradient, *gradient_scale;
  std::int64_t count, D;
  float learning_rate, beta1, beta2, epsilon;

  __device__ float scale() const { return gradient_scale == nullptr ? 1.0f : *gradient_scale; }
};

__global__ void count_steps(AdamRows p) {
  if (isnan(p.scale())) return;
  for (std::int64_t i = global_thread(); i < p.count; i += global_threads()) {
    if (p.rows[i] >= 0) ++p.steps[p.state_row[i]];
  }
}

template <int kWidth>
__global__ void __launch_bounds__(kBlock) update_rows(AdamRows p) {
  __shared__ float corrections[2][kBlock / 32];
  float& rate = corrections[0][threadIdx.y];
  float& root_scale = corrections[1][threadIdx.y];
  const std::int64_t groups = static_cast<std::int64_t>(gridDim.x) * blockDim.y;
  const float scale = p.scale();
  if (isnan(scale)) return;
  for (std::int64_t first = static_cast<std::int64_t>(blockIdx.x) * blockDim.y; first < p.count;
       first += groups) {
    const std::int64_t i = first + threadIdx.y;
    const bool mine = i < p.count && p.rows[i] >= 0;
    const std::int64_t state = mine ? p.state_row[i] : 0;
    __syncthreads();  // the corrections of the row before are no longer read
    if (mine && threadIdx.x == 0) {
      const double step = p.steps[state];
      rate = static_cast<float>(p.learning_rate / (1.0 - pow(static_cast<double>(p.beta1), step)));
      root_scale = static_cast<float>(1.0 / sqrt(1.0 - pow(static_cast<double>(p.beta2), step)));
    }
    __syncthreads();
    for (std::int64_t d = threadIdx.x * kWidth; mine && d < p.D;
         d += static_cast<std::int64_t>(blockDim.x) * kWidth) {
      float value[kWidth], moment1[kWidth], moment2[kWidth], gradient[kWidth];
      float* to = p.values + static_cast<std::int64_t>(p.rows[i]) * p.D + d;
      load_lanes(to, value);
      load_lanes(p.first_moment + state * p.D + d, moment1);
      load_lanes(p.second_moment + state * p.D + d, moment2);
      load_lanes(p.gradient + i * p.D + d, gradient);
#pragma unroll
      for (int x = 0; x < kWidth; ++x) {
        const float g = gradient[x] * scale;
        moment1[x] = p.beta1 * moment1[x] + (1.0f - p.beta1) * g;
        moment2[x] = p.beta2 * moment2[x] + (1.0f - p.beta2) * g * g;
        value[x] -= rate * moment1[x] / (sqrtf(moment2[x]) * root_scale + p.epsilon);
      }
      store_lanes(p.first_moment + state * p.D + d, moment1);
      store_lanes(p.second_moment + state * p.D + d, moment2);
      store_lanes(to, value);
    }
  }
}

template <int kWidth>
__global__ void __launch_bounds__(kBlock)
    descend_rows(float* values, const std::int32_t* rows, const float* gradient,
                 const float* gradient_scale, float rate, std::int64_t count, std::int64_t D) {
  const float scale = gradient_scale == nullptr ? 1.0f : *gradient_scale;
  if (isnan(scale)) return;
  const std::int64_t groups = static_cast<std::int64_t>(gridDim.x) * blockDim.y;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; i < count;
       i += groups) {
    if (rows[i] < 0) continue;
    float* row = values + static_cast<std::int64_t>(rows[i]) * D;
    for (std::int64_t d = threadIdx.x * kWidth; d < D;
         d += static_cast<std::int64_t>(blockDim.x) * kWidth) {
      float value[kWidth], step[kWidth];
      load_lanes(row + d, value);
      load_lanes(gradient + i * D + d, step);
#pragma unroll
      for (int x = 0; x < kWidth; ++x) value[x] -= rate * (step[x] * scale);
      store_lanes(row + d, value);
    }
  }
}

template <int kWidth>
void run_adam(const AdamRows& rows, cudaStream_t queue) {
  const RowBlock shape(rows.D, kWidth);
  const unsigned grid = grid_for(rows.count, static_cast<int>(shape.threads.y));
  update_rows<kWidth><<<grid, shape.threads, 0, queue>>>(rows);
}

template <int kWidth>
void run_sgd(const RowSgd& args) {
  const std::int64_t count = args.rows.elements(), D = args.values.size(1);
  const RowBlock shape(D, kWidth);
  const unsigned grid = grid_for(count, static_cast<int>(shape.threads.y));
  descend_rows<kWidth><<<grid, shape.threads, 0, stream(args.values)>>>(
      args.values.data<float>(), args.rows.data<std::int32_t>(), args.gradient.data<float>(),
      optional_data<float>(args.gradient_scale), args.learning_rate, count, D);
}

}  // namespace

void row_adam(const RowAdam& args) {
  const AdamRows rows{.values = args.values.data<float>(),
                      .first_moment = args.first_moment.data<float>(),
                      .second_moment = args.second_moment.data<float>(),
                      .steps = args.steps.data<std::int32_t>(),
                      .rows = args.rows.data<std::int32_t>(),
                      .state_row = args.state_row.data<std::int32_t>(),
                      .gradient = args.gradient.data<float>(),
                      .gradient_scale = optional_data<float>(args.gradient_scale),
                      .count = args.rows.elements(),
                      .D = args.values.size(1),
                      .learning_rate = args.learning_rate,
                      .beta1 = args.beta1,
                      .beta2 = args.beta2,
                      .epsilon = args.epsilon};
  if (rows.count == 0) return;
  const cudaStream_t queue = stream(args.values);
  count_steps<<<grid_for(rows.count), kBlock, 0, queue>>>(rows);
  SLOTWISE_CUDA_LAUNCHED("row_adam");
  if (rows_are_wide<float>(rows.D, rows.values, rows.first_moment, rows.second_moment,
                           rows.gradient)) {
    run_adam<kWide<float>>(rows, queue);
  } else {
    run_adam<1>(rows, queue);
  }
  SLOTWISE_CUDA_LAUNCHED("row_adam");
}

void row_sgd(const RowSgd& args) {
  if (args.gradient.elements() == 0) return;
  if (rows_are_wide<float>(args.values.size(1), args.values.data<float>(),
                           args.gradient.data<float>())) {
    run_sgd<kWide<float>>(args);
  } else {
    run_sgd<1>(args);
  }
  SLOTWISE_CUDA_LAUNCHED("row_sgd");
}

}  // namespace slotwise::kernels::cuda
