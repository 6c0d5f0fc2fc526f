// One thread an element in grid-stride loops; the pointers travel as the kernel's argument.
#include <algorithm>

#include "core/cuda_stream.h"
#include "core/error.h"
#include "core/ordered_sum_cuda.h"

namespace slotwise::cuda {
namespace {

struct Parts {
  const float* part[kMostParts];
};

__global__ void add_parts(float* out, const float* before, Parts parts, int count_of_parts,
                          std::int64_t count) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += step) {
    float sum = parts.part[0][i];
    if (before != nullptr) sum = before[i] + sum;
    for (int part = 1; part < count_of_parts; ++part) sum += parts.part[part][i];
    out[i] = sum;
  }
}

}  // namespace

void add_in_order(float* out, const float* before, const std::vector<const float*>& parts,
                  std::int64_t count, cudaStream_t stream) {
  if (count == 0) return;
  SLOTWISE_CHECK(!parts.empty() && parts.size() <= kMostParts,
                 "[communicator] expected 1 to {} ranks, got {}", kMostParts, parts.size());
  Parts all{};
  std::copy(parts.begin(), parts.end(), all.part);
  constexpr int kBlock = 256;
  const auto blocks =
      static_cast<unsigned>(std::clamp<std::int64_t>((count + kBlock - 1) / kBlock, 1, 1 << 16));
  add_parts<<<blocks, kBlock, 0, stream>>>(out, before, all, static_cast<int>(parts.size()), count);
  check_cuda(cudaGetLastError(), "communicator", "kernel launch");
}

}  // namespace slotwise::cuda
