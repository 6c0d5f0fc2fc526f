// Softmax cross-entropy on a CUDA device: a block per row, which is read once for its maximum and
// sum together (the sum is rescaled when the maximum grows) and, where a gradient is wanted, once
// more to write it; the second time it mostly comes out of the cache.
// As on the CPU the target's exponential is kept out of the sum of the others: 1 - p(target) has
// full precision where p is close to 1.
#include "kernels/cross_entropy.h"

#include <cfloat>

#include "kernels/cuda/pointwise.cuh"
#include "kernels/math.h"

namespace slotwise::kernels::cuda {
namespace {

constexpr int kRowThreads = 512;

struct Rows {
  float* losses;
  float* dlogits;  // may be null, may be logits
  const float* logits;
  const std::int32_t* targets;
  std::int64_t rows, classes;
  float scale;
};

__device__ float block_maximum(float value) {
  constexpr int kWarps = kRowThreads / 32;
  __shared__ float of_warp[kWarps];
  for (int offset = 16; offset > 0; offset /= 2) {
    value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, offset));
  }
  __syncthreads();
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  float most = of_warp[0];
  for (int warp = 1; warp < kWarps; ++warp) most = fmaxf(most, of_warp[warp]);
  return most;
}

// Sum of exp(x - most) of what a thread has seen, the target left out of the sum. `most` starts at
// a finite number, so that -inf logits weigh 0 and never meet -inf - -inf.
struct Running {
  float most = -FLT_MAX, sum = 0.0f;

  __device__ void add(float x, bool counts) {
    if (x > most) {
      sum *= fast_exp(most - x);
      most = x;
    }
    if (counts) sum += fast_exp(x - most);
  }
};

template <int kWidth>
__device__ void clear_row(float* row, std::int64_t groups) {
  const Floats<kWidth> zeros = {};
  for (std::int64_t i = threadIdx.x; i < groups; i += kRowThreads) store<kWidth>(row, i, zeros);
}

template <int kWidth>
__device__ void handle_row(const Rows& args, std::int64_t row) {
  const std::int64_t groups = args.classes / kWidth;
  const float* x = args.logits + row * args.classes;
  float* dx = args.dlogits == nullptr ? nullptr : args.dlogits + row * args.classes;
  const std::int64_t target = args.targets[row];
  if (target < 0) {
    if (threadIdx.x == 0) args.losses[row] = 0.0f;
    if (dx != nullptr) clear_row<kWidth>(dx, groups);
    return;
  }
  check_index("cross_entropy", target, args.classes);
  const float wanted = x[target];
  Running running;
  for (std::int64_t i = threadIdx.x; i < groups; i += kRowThreads) {
    const Floats<kWidth> value = load<kWidth>(x, i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) running.add(value[j], i * kWidth + j != target);
  }
  const float most = block_maximum(running.most);
  const float mine = running.sum * fast_exp(running.most - most);
  // Also the barrier after which x may be overwritten: all have read it, and x[target].
  const double others = block_sum<kRowThreads>(static_cast<double>(mine));
  const double at_target = static_cast<double>(fast_exp(wanted - most));
  const double total = others + at_target;
  if (threadIdx.x == 0) {
    args.losses[row] =
        static_cast<float>(log1p(others + (at_target - 1.0)) +
                           (static_cast<double>(most) - static_cast<double>(wanted)));
  }
  if (dx == nullptr) return;
  const float factor = static_cast<float>(static_cast<double>(args.scale) / total);
  const float to_target = static_cast<float>(-static_cast<double>(args.scale) * others / total);
  for (std::int64_t i = threadIdx.x; i < groups; i += kRowThreads) {
    Floats<kWidth> value = load<kWidth>(x, i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      value[j] = i * kWidth + j == target ? to_target : fast_exp(value[j] - most) * factor;
    }
    store<kWidth>(dx, i, value);
  }
}

template <int kWidth>
__global__ void __launch_bounds__(kRowThreads) cross_entropy_kernel(Rows args) {
  for (std::int64_t row = blockIdx.x; row < args.rows; row += gridDim.x) {
    handle_row<kWidth>(args, row);
  }
}

}  // namespace

void cross_entropy(const CrossEntropy& args) {
  const Rows rows = {.losses = args.losses.data<float>(),
                     .dlogits = optional_data<float>(args.dlogits),
                     .logits = args.logits.data<float>(),
                     .targets = args.targets.data<std::int32_t>(),
                     .rows = args.logits.size(0),
                     .classes = args.logits.size(1),
                     .scale = args.scale};
  if (rows.rows == 0) return;
  const bool wide = rows.classes % 4 == 0 && aligned_to_16(rows.logits, rows.dlogits);
  const auto kernel = wide ? cross_entropy_kernel<4> : cross_entropy_kernel<1>;
  kernel<<<grid_for(rows.rows, 1), kRowThreads, 0, stream(args.logits)>>>(rows);
  SLOTWISE_CUDA_LAUNCHED("cross_entropy");
}

}  // namespace slotwise::kernels::cuda
