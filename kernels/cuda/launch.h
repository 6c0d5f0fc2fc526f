// What every CUDA op needs to start a kernel: the device's stream, checks that name the op, grid
// sizes, and small device helpers. Kernels use grid-stride loops over 64-bit indices, so any grid
// is right; reductions whose order depends on the grid take kReductionBlocks, never the device's
// size, so that their bits are the same on every GPU.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>

#include "core/cuda_stream.h"
#include "core/tensor.h"

// In the body of an op, whose name then stands in the error.
#define SLOTWISE_CUDA_CHECK(expression) ::slotwise::check_cuda((expression), __func__, #expression)
// After a launch: reports what the launch itself did wrong; with CUDA_LAUNCH_BLOCKING=1 in the
// environment also what the kernel did.
#define SLOTWISE_CUDA_LAUNCHED(op) ::slotwise::check_cuda(cudaGetLastError(), op, "kernel launch")

namespace slotwise::kernels::cuda {

constexpr int kBlock = 256;  // threads of a block, where an op has no reason for another number
constexpr int kReductionBlocks = 1024;
constexpr std::int64_t kMostBlocks = 1 << 16;

inline cudaStream_t stream(Device device) {
  return cuda_stream(device);
}
inline cudaStream_t stream(const Tensor& tensor) {
  return cuda_stream(tensor.device());
}

// Blocks for a grid-stride loop over n items. n > 0: ops return early on empty inputs.
inline unsigned grid_for(std::int64_t n, int block = kBlock) {
  return static_cast<unsigned>(std::clamp<std::int64_t>((n + block - 1) / block, 1, kMostBlocks));
}

template <class T>
T* optional_data(const Tensor& tensor) {
  return tensor.defined() ? tensor.data<T>() : nullptr;
}

// True when all of the given pointers allow loads of 16 bytes. Null pointers do.
template <class... Pointers>
bool aligned_to_16(const Pointers*... pointers) {
  return ((reinterpret_cast<std::uintptr_t>(pointers) % 16 == 0) && ...);
}

#ifdef __CUDACC__

// First item and step of this thread's grid-stride loop.
__device__ inline std::int64_t global_thread() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline std::int64_t global_threads() {
  return static_cast<std::int64_t>(gridDim.x) * blockDim.x;
}

// An index that comes from data and leaves its range is an error, as on the CPU; here the kernel
// says so and stops, and the next check on the host throws.
__device__ __noinline__ inline void stop_at_index(const char* op, long long index,
                                                  long long bound) {
  printf("[%s] expected an index in 0..%lld, got %lld\n", op, bound - 1, index);
  __trap();
}
__device__ inline void check_index(const char* op, std::int64_t index, std::int64_t bound) {
  if (index < 0 || index >= bound) stop_at_index(op, index, bound);
}

// The same tree of additions in every run; each lane gets the sum.
template <class T>
__device__ inline T warp_sum(T value) {
  for (int offset = 16; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, offset);
  }
  return value;
}

// Sum over a block of kThreads threads, which all get it. All of them must call.
template <int kThreads, class T>
__device__ inline T block_sum(T value) {
  static_assert(kThreads % 32 == 0 && kThreads <= 1024);
  constexpr int kWarps = kThreads / 32;
  __shared__ T of_warp[kWarps];
  value = warp_sum(value);
  __syncthreads();  // of_warp may still be read by an earlier call
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
  __syncthreads();
  T total = of_warp[0];
  for (int warp = 1; warp < kWarps; ++warp) total += of_warp[warp];
  return total;
}

#endif

}  // namespace slotwise::kernels::cuda
