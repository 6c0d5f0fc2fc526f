// dweights: one warp takes four accesses of a token at a time, so dy is read once for four rows.
// dvalues and selected rows: sorted segments, see sorted_segments.cuh.
#include "kernels/cuda/row_lanes.cuh"
#include "kernels/cuda/sorted_segments.cuh"
#include "kernels/weighted_bag.h"

namespace slotwise::kernels::cuda {
namespace {

constexpr int kRows = 4;

template <class Value, int kWidth>
__global__ void __launch_bounds__(kBlock)
    dot_bags(float* __restrict__ dweights, bool accumulate, const float* __restrict__ dy,
             const Value* __restrict__ values, const std::int32_t* __restrict__ slots,
             std::int64_t M, std::int64_t J, std::int64_t D) {
  const std::int64_t quads = (J + kRows - 1) / kRows;
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (std::int64_t item = global_thread() / 32; item < M * quads; item += global_threads() / 32) {
    const std::int64_t m = item / quads, j = item % quads * kRows;
    const int count = static_cast<int>(min(static_cast<std::int64_t>(kRows), J - j));
    const Value* rows[kRows];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {  // past the end: the last row again, its dot is not written
      rows[r] = values + static_cast<std::int64_t>(slots[m * J + j + min(r, count - 1)]) * D;
    }
    float dots[kRows] = {};
    for (std::int64_t d = lane * kWidth; d < D; d += 32 * kWidth) {
      float x[kWidth], row[kRows][kWidth];
      load_lanes(dy + m * D + d, x);
#pragma unroll
      for (int r = 0; r < kRows; ++r) load_lanes(rows[r] + d, row[r]);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
#pragma unroll
        for (int i = 0; i < kWidth; ++i) dots[r] += x[i] * row[r][i];
      }
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float dot = warp_sum(dots[r]);
      if (lane == 0 && r < count) {
        float& out = dweights[m * J + j + r];
        out = accumulate ? out + dot : dot;
      }
    }
  }
}

template <class Value, int kWidth>
void bag_backward_weights(const WeightedBagBackwardWeights& args) {
  const std::int64_t M = args.slots.size(0), J = args.slots.size(1);
  const std::int64_t warps = M * ((J + kRows - 1) / kRows);
  dot_bags<Value, kWidth><<<grid_for(warps, kBlock / 32), kBlock, 0, stream(args.dy)>>>(
      args.dweights.tensor.data<float>(), args.dweights.accumulate, args.dy.data<float>(),
      args.values.data<Value>(), args.slots.data<std::int32_t>(), M, J, args.values.size(1));
  SLOTWISE_CUDA_LAUNCHED("weighted_bag_backward_weights");
}

template <class Value>
void bag_backward_weights(const WeightedBagBackwardWeights& args) {
  const Value* values = args.values.data<Value>();
  if (rows_are_wide<Value>(args.values.size(1), values, args.dy.data<float>())) {
    bag_backward_weights<Value, kWide<Value>>(args);
  } else {
    bag_backward_weights<Value, 1>(args);
  }
}

__global__ void find_rows(std::uint32_t* __restrict__ rows, const std::int32_t* __restrict__ slots,
                          const std::int32_t* __restrict__ row_of_slot, std::int64_t count,
                          std::uint32_t left_out) {
  for (std::int64_t i = global_thread(); i < count; i += global_threads()) {
    const std::int32_t row = row_of_slot[slots[i]];
    rows[i] = row < 0 ? left_out : static_cast<std::uint32_t>(row);
  }
}

}  // namespace

void weighted_bag_backward_weights(const WeightedBagBackwardWeights& args) {
  if (args.slots.elements() == 0) return;
  if (args.values.dtype() == DType::bf16) {
    bag_backward_weights<BFloat16>(args);
  } else {
    bag_backward_weights<float>(args);
  }
}

void weighted_bag_backward_values(const WeightedBagBackwardValues& args) {
  const RowTerms terms = {
      .rows = reinterpret_cast<const std::uint32_t*>(args.slots.data<std::int32_t>()),
      .count = args.slots.elements(),
      .per_source = args.slots.size(1),
      .weights = args.weights.data<float>(),
      .sources = args.dy.data<float>()};
  sum_rows_by_segment("weighted_bag_backward_values", terms, args.dvalues,
                      optional_data<std::uint8_t>(args.touched));
}

// Accesses of slots that are not chosen sort behind all others, where whole chunks of them end at
// once: cheaper than a compaction, whose length the host would have to wait for.
void selected_row_gradient(const SelectedRowGradient& args) {
  const char* op = "selected_row_gradient";
  const std::int64_t count = args.slots.elements();
  const Device device = args.dy.device();
  const Tensor rows = Tensor::empty({count}, DType::i32, device, "selected rows of accesses");
  auto* row_of_access = reinterpret_cast<std::uint32_t*>(rows.data<std::int32_t>());
  if (count > 0) {
    find_rows<<<grid_for(count), kBlock, 0, stream(device)>>>(
        row_of_access, args.slots.data<std::int32_t>(), args.row_of_slot.data<std::int32_t>(),
        count, static_cast<std::uint32_t>(args.gradient.tensor.size(0)));
    SLOTWISE_CUDA_LAUNCHED(op);
  }
  const RowTerms terms = {.rows = row_of_access,
                          .count = count,
                          .per_source = args.slots.size(1),
                          .weights = args.weights.data<float>(),
                          .sources = args.dy.data<float>()};
  sum_rows_by_segment(op, terms, args.gradient);
}

}  // namespace slotwise::kernels::cuda
