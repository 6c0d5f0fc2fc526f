// What CUDA says of the GPUs. Whether one can run this build is asked of a kernel: the driver knows
// which code the binary holds.
#include <cuda_profiler_api.h>

#include "core/cuda_stream.h"
#include "core/devices_bodies.h"
#include "core/error.h"

namespace slotwise::cuda {
namespace {

__global__ void probe() {}

std::string fault_text(const DeviceFacts& facts, cudaError_t status) {
  switch (status) {
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorInvalidKernelImage:
    case cudaErrorUnsupportedPtxVersion:
      return fmt::format(
          "found {} of compute capability {}.{}, for which this program holds no code (configure "
          "with -DSLOTWISE_CUDA_ARCHITECTURES=all)",
          facts.name, facts.capability / 10, facts.capability % 10);
    default:  // in exclusive use by another process, out of memory, ...
      return fmt::format("found {}, which cannot be used ({})", facts.name,
                         cudaGetErrorString(status));
  }
}

}  // namespace

int device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();  // answered here; a later check must not find it again
  return 0;
}

DeviceFacts device_facts(int index) {
  cudaDeviceProp properties{};
  check_cuda(cudaGetDeviceProperties(&properties, index), "device", "cudaGetDeviceProperties");
  DeviceFacts facts{.name = properties.name,
                    .capability = properties.major * 10 + properties.minor,
                    .memory_bytes = properties.totalGlobalMem,
                    .fault = ""};
  cudaFuncAttributes attributes{};
  cudaError_t status = cudaSetDevice(index);
  if (status == cudaSuccess) status = cudaFuncGetAttributes(&attributes, probe);
  cudaGetLastError();  // answered here; a later check must not find it again
  if (status != cudaSuccess) facts.fault = fault_text(facts, status);
  return facts;
}

std::string absence() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  cudaGetLastError();
  return status == cudaSuccess ? "the driver lists no GPU" : cudaGetErrorString(status);
}

void* make_event(Device device) {
  cuda_stream(device);  // makes the device current
  cudaEvent_t event = nullptr;
  check_cuda(cudaEventCreate(&event), "timer", "cudaEventCreate");
  return event;
}

void record_event(Device device, void* event) {
  check_cuda(cudaEventRecord(static_cast<cudaEvent_t>(event), cuda_stream(device)), "timer",
             "cudaEventRecord");
}

double seconds_between(void* begin, void* end) {
  float milliseconds = 0.0f;
  check_cuda(cudaEventSynchronize(static_cast<cudaEvent_t>(end)), "timer", "cudaEventSynchronize");
  check_cuda(cudaEventElapsedTime(&milliseconds, static_cast<cudaEvent_t>(begin),
                                  static_cast<cudaEvent_t>(end)),
             "timer", "cudaEventElapsedTime");
  return static_cast<double>(milliseconds) * 1e-3;
}

void release_event(void* event) noexcept {
  cudaEventDestroy(static_cast<cudaEvent_t>(event));
}

void start_profiler() {
  check_cuda(cudaProfilerStart(), "profiler", "cudaProfilerStart");
}
void stop_profiler() {
  check_cuda(cudaProfilerStop(), "profiler", "cudaProfilerStop");
}

}  // namespace slotwise::cuda
