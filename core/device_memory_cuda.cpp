#include <cstdio>

#include "core/cuda_stream.h"
#include "core/device_memory_bodies.h"
#include "core/pinned_ring_cuda.h"

namespace slotwise::cuda {

void* allocate_bytes(Device device, std::size_t bytes) {
  cuda_stream(device);  // makes the device current
  void* block = nullptr;
  const cudaError_t status = cudaMalloc(&block, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // it is answered here; a later check must not find it again
    return nullptr;
  }
  check_cuda(status, "allocate_bytes", "cudaMalloc");
  return block;
}

// cudaFree waits for the device, so kernels that still read the block come to their end first.
void release_bytes(Device device, void* block) noexcept {
  cudaError_t status = cudaSetDevice(device.index);
  if (status == cudaSuccess) status = cudaFree(block);
  // At the end of a program the driver may be gone before the last pool.
  if (status == cudaSuccess || status == cudaErrorCudartUnloading) return;
  std::fprintf(stderr, "[release_bytes] cudaFree: %s\n", cudaGetErrorString(status));
}

void zero_bytes(Device device, void* block, std::size_t bytes) {
  check_cuda(cudaMemsetAsync(block, 0, bytes, cuda_stream(device)), "zero_bytes",
             "cudaMemsetAsync");
}

void copy_bytes(void* to, Device to_device, const void* from, Device from_device,
                std::size_t bytes) {
  const char* op = "copy_bytes";
  const bool between_devices = !to_device.is_cpu() && !from_device.is_cpu();
  if (between_devices && to_device.index != from_device.index) {
    // Two streams: the source must be complete before the copy, and the copy before its reuse.
    check_cuda(cudaStreamSynchronize(cuda_stream(from_device)), op, "cudaStreamSynchronize");
    const cudaStream_t stream = cuda_stream(to_device);
    check_cuda(cudaMemcpyPeerAsync(to, to_device.index, from, from_device.index, bytes, stream), op,
               "cudaMemcpyPeerAsync");
    check_cuda(cudaStreamSynchronize(stream), op, "cudaStreamSynchronize");
    return;
  }
  if (from_device.is_cpu()) return copy_through_ring(to_device, to, from, bytes);
  const cudaStream_t stream = cuda_stream(from_device);
  check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream), op, "cudaMemcpyAsync");
  if (to_device.is_cpu()) {
    check_cuda(cudaStreamSynchronize(stream), op, "cudaStreamSynchronize");
  }
}

}  // namespace slotwise::cuda
