// out[i] = before[i] + parts[0][i] + parts[1][i] + ..., one rank after another, on a stream.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <vector>

namespace slotwise::cuda {

// `before` may be null; a part may be `out` itself. At most kMostParts parts.
constexpr int kMostParts = 256;
void add_in_order(float* out, const float* before, const std::vector<const float*>& parts,
                  std::int64_t count, cudaStream_t stream);

}  // namespace slotwise::cuda
