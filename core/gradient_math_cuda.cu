// The tape's own arithmetic on a GPU: one thread an element, in grid-stride loops over 64-bit
// indices.
#include <algorithm>

#include "core/cuda_stream.h"
#include "core/gradient_math_bodies.h"

namespace slotwise::cuda {
namespace {

constexpr int kBlock = 256;
constexpr std::int64_t kMostBlocks = 1 << 16;

unsigned grid_for(std::int64_t count) {
  return static_cast<unsigned>(
      std::clamp<std::int64_t>((count + kBlock - 1) / kBlock, 1, kMostBlocks));
}

__global__ void add_elements(float* sum, const float* grad, std::int64_t count) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += step) {
    sum[i] += grad[i];
  }
}

__global__ void zero_rows(float* gradient, const std::uint8_t* touched, std::int64_t D,
                          std::int64_t count) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += step) {
    if (touched[i / D] == 0) gradient[i] = 0.0f;
  }
}

__global__ void gather_rows(float* out, const std::int32_t* rows, const float* gradient,
                            const std::uint8_t* touched, std::int64_t D, std::int64_t count) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += step) {
    const std::int64_t row = rows[i / D];
    out[i] = touched[row] != 0 ? gradient[row * D + i % D] : 0.0f;
  }
}

__global__ void scatter_rows(float* gradient, std::uint8_t* touched, const std::int32_t* rows,
                             const float* values, std::int64_t D, std::int64_t count) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += step) {
    const std::int64_t row = rows[i / D];
    gradient[row * D + i % D] = values[i];
    if (i % D == 0) touched[row] = 1;
  }
}

}  // namespace

void add_gradient(const Tensor& sum, const Tensor& grad) {
  const std::int64_t count = grad.elements();
  if (count == 0) return;
  add_elements<<<grid_for(count), kBlock, 0, cuda_stream(grad.device())>>>(
      sum.data<float>(), grad.data<float>(), count);
  check_cuda(cudaGetLastError(), "write_gradient", "kernel launch");
}

void zero_untouched_rows(const TouchedRows& rows) {
  const std::int64_t count = rows.gradient.elements();
  if (count == 0) return;
  zero_rows<<<grid_for(count), kBlock, 0, cuda_stream(rows.gradient.device())>>>(
      rows.gradient.data<float>(), rows.touched.data<std::uint8_t>(), rows.gradient.size(1), count);
  check_cuda(cudaGetLastError(), "zero_untouched_rows", "kernel launch");
}

void gather_touched_rows(const Tensor& out, const Tensor& rows, const TouchedRows& from) {
  const std::int64_t count = out.elements();
  if (count == 0) return;
  gather_rows<<<grid_for(count), kBlock, 0, cuda_stream(out.device())>>>(
      out.data<float>(), rows.data<std::int32_t>(), from.gradient.data<float>(),
      from.touched.data<std::uint8_t>(), out.size(1), count);
  check_cuda(cudaGetLastError(), "gather_touched_rows", "kernel launch");
}

void scatter_touched_rows(const TouchedRows& to, const Tensor& rows, const Tensor& values) {
  const std::int64_t count = values.elements();
  if (count == 0) return;
  scatter_rows<<<grid_for(count), kBlock, 0, cuda_stream(values.device())>>>(
      to.gradient.data<float>(), to.touched.data<std::uint8_t>(), rows.data<std::int32_t>(),
      values.data<float>(), values.size(1), count);
  check_cuda(cudaGetLastError(), "scatter_touched_rows", "kernel launch");
}

}  // namespace slotwise::cuda
