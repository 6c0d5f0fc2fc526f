// Sums over the rows of a [rows, columns] matrix that is computed as it is read. Two rounds with an
// order that depends on the shape alone: a block sums kChunkRows rows of 32 columns, 32 rows a
// thread in fp32; then the chunks' sums are added in double.
#pragma once

#include "kernels/cuda/launch.h"

namespace slotwise::kernels::cuda {

constexpr int kColumnLanes = 32;
constexpr int kChunkGroups = 8;  // rows of a chunk that are read at a time
constexpr std::int64_t kChunkRows = 32 * kChunkGroups;
constexpr int kFinishGroups = 32;

__host__ __device__ inline std::int64_t column_blocks(std::int64_t columns) {
  return (columns + kColumnLanes - 1) / kColumnLanes;
}

// Sum over the block's rows of threads (y), for each column (x); valid where threadIdx.y == 0.
template <int kGroups>
__device__ inline double sum_over_groups(double value) {
  __shared__ double of_group[kGroups][kColumnLanes];
  of_group[threadIdx.y][threadIdx.x] = value;
  __syncthreads();
  double total = 0.0;
  if (threadIdx.y == 0) {
    for (int group = 0; group < kGroups; ++group) total += of_group[group][threadIdx.x];
  }
  return total;
}

template <class Element>
__global__ void __launch_bounds__(kColumnLanes* kChunkGroups)
    sum_chunks_of_columns(double* partial, std::int64_t rows, std::int64_t columns,
                          Element element) {
  const std::int64_t across = column_blocks(columns);
  const std::int64_t chunk = blockIdx.x / across;
  const std::int64_t column = (blockIdx.x - chunk * across) * kColumnLanes + threadIdx.x;
  const std::int64_t begin = chunk * kChunkRows, end = min(begin + kChunkRows, rows);
  float sum = 0.0f;
  if (column < columns) {
    for (std::int64_t row = begin + threadIdx.y; row < end; row += kChunkGroups) {
      sum += element(row, column);
    }
  }
  const double total = sum_over_groups<kChunkGroups>(static_cast<double>(sum));
  if (threadIdx.y == 0 && column < columns) partial[chunk * columns + column] = total;
}

template <class Finish>
__global__ void __launch_bounds__(kColumnLanes* kFinishGroups)
    finish_columns(const double* partial, std::int64_t chunks, std::int64_t columns,
                   Finish finish) {
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * kColumnLanes + threadIdx.x;
  double sum = 0.0;
  if (column < columns) {
    for (std::int64_t chunk = threadIdx.y; chunk < chunks; chunk += kFinishGroups) {
      sum += partial[chunk * columns + column];
    }
  }
  const double total = sum_over_groups<kFinishGroups>(sum);
  if (threadIdx.y == 0 && column < columns) finish(column, total);
}

// finish(column, sum over rows of element(row, column)), both on the device. Without rows the sums
// are 0.
template <class Element, class Finish>
void sum_columns(const char* op, Device device, std::int64_t rows, std::int64_t columns,
                 const Element& element, const Finish& finish) {
  if (columns == 0) return;
  const std::int64_t chunks = (rows + kChunkRows - 1) / kChunkRows;
  const cudaStream_t queue = stream(device);
  const Tensor scratch = Tensor::empty({chunks, columns}, DType::i64, device, "column sums");
  auto* partial = static_cast<double*>(scratch.raw());
  const auto across = static_cast<unsigned>(column_blocks(columns));
  if (chunks > 0) {
    sum_chunks_of_columns<<<static_cast<unsigned>(chunks) * across,
                            dim3(kColumnLanes, kChunkGroups), 0, queue>>>(partial, rows, columns,
                                                                          element);
    SLOTWISE_CUDA_LAUNCHED(op);
  }
  finish_columns<<<across, dim3(kColumnLanes, kFinishGroups), 0, queue>>>(partial, chunks, columns,
                                                                          finish);
  SLOTWISE_CUDA_LAUNCHED(op);
}

}  // namespace slotwise::kernels::cuda
