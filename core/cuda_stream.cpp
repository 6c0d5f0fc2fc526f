#include "core/cuda_stream.h"

#include <map>
#include <mutex>

#include "core/error.h"

namespace slotwise {

void check_cuda(cudaError_t status, const char* what, const char* call) {
  if (status == cudaSuccess) return;
  fail("[{}] {}: {} ({})", what, call, cudaGetErrorString(status), cudaGetErrorName(status));
}

namespace {

cudaStream_t make_stream(int index) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    user_error("expected a CUDA device, found none ({}); use --device cpu",
               cudaGetErrorString(status));
  }
  if (index < 0 || index >= count) {
    user_error("expected a CUDA device below {}, got {}", count, index);
  }
  check_cuda(cudaSetDevice(index), "cuda_stream", "cudaSetDevice");
  cudaStream_t stream = nullptr;
  check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cuda_stream",
             "cudaStreamCreateWithFlags");
  return stream;
}

}  // namespace

cudaStream_t cuda_stream(Device device) {
  // Never destroyed, as the pools are not: tensors in static storage may outlive any order.
  static std::mutex mutex;
  static auto* streams = new std::map<int, cudaStream_t>();
  const std::lock_guard lock(mutex);
  auto found = streams->find(device.index);
  if (found == streams->end()) {
    found = streams->emplace(device.index, make_stream(device.index)).first;
  }
  check_cuda(cudaSetDevice(device.index), "cuda_stream", "cudaSetDevice");
  return found->second;
}

}  // namespace slotwise
