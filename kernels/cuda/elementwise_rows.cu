// Conversion of elements, and moving of rows, on a CUDA device.
#include "kernels/cuda/pointwise.cuh"
#include "kernels/elementwise.h"

namespace slotwise::kernels::cuda {
namespace {

template <int kWidth>
struct alignas(kWidth * sizeof(std::uint16_t)) Halves {
  std::uint16_t of[kWidth];
};

// As BFloat16 rounds: nearest even, and a NaN keeps its upper bits.
__device__ std::uint16_t rounded(float value) {
  const std::uint32_t word = __float_as_uint(value);
  if ((word & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((word >> 16) | 0x40u);
  return static_cast<std::uint16_t>((word + 0x7fffu + ((word >> 16) & 1u)) >> 16);
}

struct ToBFloat16 {
  BFloat16* y;
  const float* x;
  template <int kWidth>
  __device__ void at(std::int64_t i) const {
    const Floats<kWidth> value = load<kWidth>(x, i);
    Halves<kWidth> half;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) half.of[j] = rounded(value[j]);
    reinterpret_cast<Halves<kWidth>*>(y)[i] = half;
  }
};

struct ToFloat {
  float* y;
  const BFloat16* x;
  template <int kWidth>
  __device__ void at(std::int64_t i) const {
    const Halves<kWidth> half = reinterpret_cast<const Halves<kWidth>*>(x)[i];
    Floats<kWidth> value;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      value[j] = __uint_as_float(static_cast<std::uint32_t>(half.of[j]) << 16);
    }
    store<kWidth>(y, i, value);
  }
};

// An element of a list of rows: which row of the list, and where in it. Groups of kWidth floats.
struct MoveRows {
  float* to;
  const float* from;
  const std::int32_t* rows;
  std::int64_t groups;  // of a row
  std::int64_t bound;   // rows of the table
};

template <int kWidth>
__global__ void __launch_bounds__(kBlock) gather_kernel(MoveRows move, std::int64_t n) {
  for (std::int64_t i = global_thread(); i < n; i += global_threads()) {
    const std::int64_t entry = i / move.groups;
    const std::int64_t row = move.rows[entry];
    check_index("gather_rows", row, move.bound);
    store<kWidth>(move.to, i,
                  load<kWidth>(move.from, row * move.groups + (i - entry * move.groups)));
  }
}

template <int kWidth>
__global__ void __launch_bounds__(kBlock)
    scatter_kernel(MoveRows move, std::int64_t n, bool accumulate) {
  for (std::int64_t i = global_thread(); i < n; i += global_threads()) {
    const std::int64_t entry = i / move.groups;
    const std::int64_t row = move.rows[entry];
    check_index("scatter_rows", row, move.bound);
    store<kWidth>(move.to, row * move.groups + (i - entry * move.groups),
                  load<kWidth>(move.from, i), accumulate);
  }
}

}  // namespace

void cast(const Cast& args) {
  const Device device = args.x.device();
  const std::int64_t n = args.x.elements();
  if (args.x.dtype() == args.y.dtype()) {
    args.y.copy_from(args.x);
  } else if (args.y.dtype() == DType::bf16) {
    const ToBFloat16 body = {.y = args.y.data<BFloat16>(), .x = args.x.data<float>()};
    pointwise("cast", device, n, aligned_to_16(body.y, body.x), body);
  } else {
    const ToFloat body = {.y = args.y.data<float>(), .x = args.x.data<BFloat16>()};
    pointwise("cast", device, n, aligned_to_16(body.y, body.x), body);
  }
}

void gather_rows(const GatherRows& args) {
  const std::int64_t columns = args.x.shape().last();
  if (args.y.elements() == 0) return;
  MoveRows move = {.to = args.y.data<float>(),
                   .from = args.x.data<float>(),
                   .rows = args.rows.data<std::int32_t>(),
                   .groups = columns,
                   .bound = args.x.shape().rows()};
  const int width = columns % 4 == 0 && aligned_to_16(move.to, move.from) ? 4 : 1;
  move.groups /= width;
  const std::int64_t n = args.y.elements() / width;
  const auto kernel = width == 4 ? gather_kernel<4> : gather_kernel<1>;
  kernel<<<grid_for(n), kBlock, 0, stream(args.x)>>>(move, n);
  SLOTWISE_CUDA_LAUNCHED("gather_rows");
}

void scatter_rows(const ScatterRows& args) {
  const std::int64_t columns = args.x.shape().last();
  if (args.y.elements() == 0) return;
  MoveRows move = {.to = args.x.data<float>(),
                   .from = args.y.data<float>(),
                   .rows = args.rows.data<std::int32_t>(),
                   .groups = columns,
                   .bound = args.x.shape().rows()};
  const int width = columns % 4 == 0 && aligned_to_16(move.to, move.from) ? 4 : 1;
  move.groups /= width;
  const std::int64_t n = args.y.elements() / width;
  const auto kernel = width == 4 ? scatter_kernel<4> : scatter_kernel<1>;
  kernel<<<grid_for(n), kBlock, 0, stream(args.x)>>>(move, n, args.accumulate);
  SLOTWISE_CUDA_LAUNCHED("scatter_rows");
}

}  // namespace slotwise::kernels::cuda
