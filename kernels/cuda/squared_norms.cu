// The squares of many tensors' norms in two launches: a block sums its stretch in double, then one
// block a group adds the stretches in one order. Tensors of which only marked rows count are cut
// into stretches of whole rows.
#include <algorithm>
#include <vector>

#include "kernels/adamw.h"
#include "kernels/cuda/many_tensors.cuh"

namespace slotwise::kernels::cuda {
namespace {

struct NormEntry {
  const float* x;
  const std::uint8_t* rows;  // or null
  std::int64_t elements, D;  // D: of a row; 1 without rows
  std::int64_t rows_a_block;
  std::int64_t first_block;
  int group;
};

__global__ void __launch_bounds__(kBlock)
    sum_stretches(double* partial, int* group_of, const NormEntry* entries, int count) {
  const NormEntry& entry = entries[entry_of_block(entries, count)];
  const std::int64_t width = entry.rows_a_block * entry.D;
  const std::int64_t begin = (blockIdx.x - entry.first_block) * width;
  const std::int64_t end = min(begin + width, entry.elements);
  double sum = 0.0;
  for (std::int64_t i = begin + threadIdx.x; i < end; i += kBlock) {
    if (entry.rows != nullptr && entry.rows[i / entry.D] == 0) continue;
    const double value = entry.x[i];
    sum += value * value;
  }
  sum = block_sum<kBlock>(sum);
  if (threadIdx.x != 0) return;
  partial[blockIdx.x] = sum;
  group_of[blockIdx.x] = entry.group;
}

__global__ void __launch_bounds__(kBlock)
    add_stretches(float* sums, const double* partial, const int* group_of, std::int64_t blocks) {
  double sum = 0.0;
  for (std::int64_t i = threadIdx.x; i < blocks; i += kBlock) {
    if (group_of[i] == static_cast<int>(blockIdx.x)) sum += partial[i];
  }
  sum = block_sum<kBlock>(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = static_cast<float>(sum);
}

}  // namespace

void squared_norms(const SquaredNorms& args) {
  const char* op = "squared_norms";
  std::vector<NormEntry> entries;
  std::int64_t blocks = 0;
  for (const SquaredNorms::Part& part : args.parts) {
    if (part.x.elements() == 0) continue;
    const std::int64_t D = part.rows.defined() ? part.x.size(1) : 1;
    const std::int64_t rows = std::max<std::int64_t>(1, kStretch / D);
    entries.push_back({.x = part.x.data<float>(),
                       .rows = optional_data<std::uint8_t>(part.rows),
                       .elements = part.x.elements(),
                       .D = D,
                       .rows_a_block = rows,
                       .first_block = blocks,
                       .group = part.group});
    blocks += (part.x.elements() + rows * D - 1) / (rows * D);
  }
  if (blocks == 0) return args.sums.zero();
  const Device device = args.sums.device();
  const cudaStream_t queue = stream(device);
  const DeviceList<NormEntry> list(entries, device);
  const Tensor partial = Tensor::empty({blocks}, DType::i64, device, "norm");
  const Tensor group_of = Tensor::empty({blocks}, DType::i32, device, "norm");
  auto* sums = static_cast<double*>(partial.raw());
  sum_stretches<<<static_cast<unsigned>(blocks), kBlock, 0, queue>>>(
      sums, group_of.data<std::int32_t>(), list.data(), list.count());
  SLOTWISE_CUDA_LAUNCHED(op);
  add_stretches<<<static_cast<unsigned>(args.sums.elements()), kBlock, 0, queue>>>(
      args.sums.data<float>(), sums, group_of.data<std::int32_t>(), blocks);
  SLOTWISE_CUDA_LAUNCHED(op);
}

}  // namespace slotwise::kernels::cuda
