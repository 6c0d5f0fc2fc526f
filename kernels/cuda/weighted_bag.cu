// Memory bound: a block's lanes cover one row in loads of 16 bytes, and the loads of several
// accesses are in flight before the first is used. Offsets are 64 bits.
#include "kernels/weighted_bag.h"

#include "kernels/cuda/row_lanes.cuh"

namespace slotwise::kernels::cuda {
namespace {

template <class Value, int kWidth>
__global__ void __launch_bounds__(kBlock)
    sum_bags(float* __restrict__ y, const Value* __restrict__ values,
             const std::int32_t* __restrict__ slots, const float* __restrict__ weights,
             std::int64_t M, std::int64_t J, std::int64_t D) {
  constexpr int kRows = kWidth == 8 ? 4 : 8;
  const std::int64_t d =
      (static_cast<std::int64_t>(blockIdx.y) * blockDim.x + threadIdx.x) * kWidth;
  if (d >= D) return;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.y;
  for (std::int64_t m = static_cast<std::int64_t>(blockIdx.x) * blockDim.y + threadIdx.y; m < M;
       m += step) {
    float sum[kWidth] = {};
    const auto add = [&](float weight, const float(&row)[kWidth]) {
#pragma unroll
      for (int x = 0; x < kWidth; ++x) sum[x] += weight * row[x];
    };
    const auto row_at = [&](std::int64_t j) {
      return values + static_cast<std::int64_t>(slots[m * J + j]) * D + d;
    };
    std::int64_t j = 0;
    for (; j + kRows <= J; j += kRows) {
      float rows[kRows][kWidth];
#pragma unroll
      for (int r = 0; r < kRows; ++r) load_lanes(row_at(j + r), rows[r]);
#pragma unroll
      for (int r = 0; r < kRows; ++r) add(weights[m * J + j + r], rows[r]);
    }
    for (; j < J; ++j) {
      float row[kWidth];
      load_lanes(row_at(j), row);
      add(weights[m * J + j], row);
    }
    store_lanes(y + m * D + d, sum);
  }
}

template <class Value, int kWidth>
void bag_forward(const WeightedBagForward& args) {
  const std::int64_t M = args.slots.size(0), J = args.slots.size(1), D = args.values.size(1);
  const RowBlock shape(D, kWidth);
  const dim3 grid(grid_for(M, static_cast<int>(shape.threads.y)), shape.column_blocks);
  sum_bags<Value, kWidth><<<grid, shape.threads, 0, stream(args.y)>>>(
      args.y.data<float>(), args.values.data<Value>(), args.slots.data<std::int32_t>(),
      args.weights.data<float>(), M, J, D);
  SLOTWISE_CUDA_LAUNCHED("weighted_bag_forward");
}

template <class Value>
void bag_forward(const WeightedBagForward& args) {
  if (rows_are_wide<Value>(args.values.size(1), args.values.data<Value>(), args.y.data<float>())) {
    bag_forward<Value, kWide<Value>>(args);
  } else {
    bag_forward<Value, 1>(args);
  }
}

}  // namespace

void weighted_bag_forward(const WeightedBagForward& args) {
  if (args.y.elements() == 0) return;
  if (args.values.dtype() == DType::bf16) {
    bag_forward<BFloat16>(args);
  } else {
    bag_forward<float>(args);
  }
}

}  // namespace slotwise::kernels::cuda
