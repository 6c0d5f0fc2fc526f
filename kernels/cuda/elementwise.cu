// Element-wise arithmetic and the sum of products on a CUDA device. Sums are taken in double by a
// number of blocks that depends on the size alone, and their results added in one order.
#include "kernels/elementwise.h"

#include "kernels/cuda/pointwise.cuh"

namespace slotwise::kernels::cuda {
namespace {

struct AddScaledBody {
  float* y;
  const float *a, *b, *scale;
  float factor;
  template <int kWidth>
  __device__ void at(std::int64_t i) const {
    const float by = scale == nullptr ? factor : factor * *scale;
    Floats<kWidth> left = load<kWidth>(a, i);
    const Floats<kWidth> right = load<kWidth>(b, i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) left[j] += by * right[j];
    store<kWidth>(y, i, left);
  }
};

struct ScaleBody {
  float* out;
  const float *x, *scale;
  float factor;
  bool accumulate;
  template <int kWidth>
  __device__ void at(std::int64_t i) const {
    const float by = scale == nullptr ? factor : factor * *scale;
    Floats<kWidth> value = load<kWidth>(x, i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) value[j] *= by;
    store<kWidth>(out, i, value, accumulate);
  }
};

template <int kWidth>
__device__ double product(const float* a, const float* b, std::int64_t i) {
  const Floats<kWidth> left = load<kWidth>(a, i), right = load<kWidth>(b, i);
  double sum = 0.0;
#pragma unroll
  for (int j = 0; j < kWidth; ++j) {
    sum += static_cast<double>(left[j]) * static_cast<double>(right[j]);
  }
  return sum;
}

template <int kWidth>
__global__ void __launch_bounds__(kBlock)
    dot_kernel(double* partial, const float* a, const float* b, std::int64_t n) {
  double sum = 0.0;
  const std::int64_t groups = n / kWidth;
  for (std::int64_t i = global_thread(); i < groups; i += global_threads()) {
    sum += product<kWidth>(a, b, i);
  }
  const std::int64_t rest = groups * kWidth + global_thread();
  if (rest < n) sum += product<1>(a, b, rest);
  sum = block_sum<kBlock>(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

// A warp looks at 32 marks at a time and reads the rows that are marked.
template <int kWidth>
__global__ void __launch_bounds__(kBlock)
    dot_rows_kernel(double* partial, const float* a, const float* b, const std::uint8_t* marks,
                    std::int64_t rows, std::int64_t D) {
  double sum = 0.0;
  const int lane = threadIdx.x % 32;
  const std::int64_t groups = D / kWidth;
  for (std::int64_t first = global_thread() / 32 * 32; first < rows; first += global_threads()) {
    const bool marked = first + lane < rows && marks[first + lane] != 0;
    unsigned left = __ballot_sync(0xffffffffu, marked);
    for (; left != 0; left &= left - 1) {
      const std::int64_t at = (first + __ffs(static_cast<int>(left)) - 1) * D;
      for (std::int64_t i = lane; i < groups; i += 32) sum += product<kWidth>(a + at, b + at, i);
    }
  }
  sum = block_sum<kBlock>(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kBlock)
    finish_dot_kernel(float* out, const double* partial, int blocks, bool accumulate) {
  double sum = 0.0;
  for (int i = threadIdx.x; i < blocks; i += kBlock) sum += partial[i];
  sum = block_sum<kBlock>(sum);
  if (threadIdx.x == 0) {
    const float total = static_cast<float>(sum);
    *out = accumulate ? *out + total : total;
  }
}

// Integer additions: their order does not matter.
__global__ void __launch_bounds__(kBlock)
    count_non_finite_kernel(std::int32_t* count, const float* x, const std::uint8_t* rows,
                            std::int64_t n, std::int64_t D) {
  std::int32_t mine = 0;
  for (std::int64_t i = global_thread(); i < n; i += global_threads()) {
    if (rows == nullptr || rows[i / D] != 0) mine += isfinite(x[i]) ? 0 : 1;
  }
  mine = block_sum<kBlock>(mine);
  if (threadIdx.x == 0 && mine != 0) atomicAdd(count, mine);
}

}  // namespace

void add_scaled(const AddScaled& args) {
  const AddScaledBody body = {.y = args.y.data<float>(),
                              .a = args.a.data<float>(),
                              .b = args.b.data<float>(),
                              .scale = optional_data<float>(args.scale),
                              .factor = args.factor};
  pointwise("add_scaled", args.y.device(), args.y.elements(), aligned_to_16(body.y, body.a, body.b),
            body);
}

void scale(const Scale& args) {
  const ScaleBody body = {.out = args.out.tensor.data<float>(),
                          .x = args.x.data<float>(),
                          .scale = optional_data<float>(args.scale),
                          .factor = args.factor,
                          .accumulate = args.out.accumulate};
  pointwise("scale", args.x.device(), args.x.elements(), aligned_to_16(body.out, body.x), body);
}

void dot_product(const DotProduct& args) {
  const std::int64_t n = args.a.elements();
  const float* a = args.a.data<float>();
  const float* b = args.b.data<float>();
  float* out = args.out.tensor.data<float>();
  const cudaStream_t queue = stream(args.a);
  const bool by_rows = args.rows.defined();
  // Rows: a warp takes 32 marks, so a thread stands for a row.
  const std::int64_t items = by_rows ? args.a.size(0) : (n + 3) / 4;
  const int blocks = static_cast<int>(std::min<std::int64_t>(grid_for(items), kReductionBlocks));
  const Tensor scratch =
      Tensor::empty({blocks}, DType::i64, args.a.device(), "dot_product partial sums");
  auto* partial = static_cast<double*>(scratch.raw());
  const bool wide = aligned_to_16(a, b) && (!by_rows || args.a.size(1) % 4 == 0);
  if (by_rows) {
    const auto kernel = wide ? dot_rows_kernel<4> : dot_rows_kernel<1>;
    kernel<<<blocks, kBlock, 0, queue>>>(partial, a, b, args.rows.data<std::uint8_t>(),
                                         args.a.size(0), args.a.size(1));
  } else {
    const auto kernel = wide ? dot_kernel<4> : dot_kernel<1>;
    kernel<<<blocks, kBlock, 0, queue>>>(partial, a, b, n);
  }
  SLOTWISE_CUDA_LAUNCHED("dot_product");
  finish_dot_kernel<<<1, kBlock, 0, queue>>>(out, partial, blocks, args.out.accumulate);
  SLOTWISE_CUDA_LAUNCHED("dot_product");
}

void count_non_finite(const CountNonFinite& args) {
  const std::int64_t n = args.x.elements();
  args.count.zero();
  if (n == 0) return;
  count_non_finite_kernel<<<grid_for(n), kBlock, 0, stream(args.x)>>>(
      args.count.data<std::int32_t>(), args.x.data<float>(), optional_data<std::uint8_t>(args.rows),
      n, args.rows.defined() ? args.x.size(1) : 1);
  SLOTWISE_CUDA_LAUNCHED("count_non_finite");
}

}  // namespace slotwise::kernels::cuda
