// CUB's two calls: the first asks how much scratch it needs, the second runs.
#pragma once

#include "kernels/cuda/launch.h"

namespace slotwise::kernels::cuda {

// call(pointer, bytes) -> cudaError_t. `name`: of the allocation.
template <class Call>
void with_workspace(const char* op, Device device, const char* name, Call&& call) {
  std::size_t bytes = 0;
  check_cuda(call(nullptr, bytes), op, "workspace size");
  const Tensor scratch = Tensor::empty({static_cast<std::int64_t>(std::max<std::size_t>(bytes, 1))},
                                       DType::u8, device, name);
  check_cuda(call(scratch.raw(), bytes), op, "CUB call");
}

}  // namespace slotwise::kernels::cuda
