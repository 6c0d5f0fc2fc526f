// CUDA's runtime on the host: one device (none where CUDA_VISIBLE_DEVICES is empty), whose calls
// have finished when they return.
#include <cuda_profiler_api.h>
#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>

struct SimulatedStream {};
struct SimulatedEvent {
  std::chrono::steady_clock::time_point time;
};

namespace {

thread_local cudaError_t last_error = cudaSuccess;

struct Described {
  cudaError_t error;
  const char *name, *text;
};
constexpr Described kErrors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
};

const Described& described(cudaError_t error) {
  for (const Described& known : kErrors) {
    if (known.error == error) return known;
  }
  static constexpr Described kUnknown{cudaErrorInvalidValue, "cudaErrorUnknown", "unknown error"};
  return kUnknown;
}

cudaError_t said(cudaError_t error) {
  if (error != cudaSuccess) last_error = error;
  return error;
}

bool visible() {
  const char* devices = std::getenv("CUDA_VISIBLE_DEVICES");
  return devices == nullptr || *devices != '\0';
}

constexpr std::size_t kAlignment = 256;

}  // namespace

namespace simulated_gpu {
void set_last_error(cudaError_t error) {
  said(error);
}
}  // namespace simulated_gpu

const char* cudaGetErrorString(cudaError_t error) {
  return described(error).text;
}
const char* cudaGetErrorName(cudaError_t error) {
  return described(error).name;
}
cudaError_t cudaGetLastError() {
  const cudaError_t error = last_error;
  // A failed kernel leaves a real device useless for the rest of the program.
  if (error != cudaErrorLaunchFailure) last_error = cudaSuccess;
  return error;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = visible() ? 1 : 0;
  return said(visible() ? cudaSuccess : cudaErrorNoDevice);
}
cudaError_t cudaSetDevice(int device) {
  return said(device == 0 && visible() ? cudaSuccess : cudaErrorInvalidDevice);
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0 || !visible()) return said(cudaErrorInvalidDevice);
  *properties = {};
  std::strcpy(properties->name, "simulated GPU");
  properties->totalGlobalMem = std::size_t{8} << 30;
  properties->major = 9;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** block, std::size_t bytes) {
  *block = ::operator new (bytes, std::align_val_t{kAlignment}, std::nothrow);
  if (*block == nullptr) return said(cudaErrorMemoryAllocation);
  std::memset(*block, 0xff, bytes);  // NaN, -1: nothing is zero by chance
  return cudaSuccess;
}
cudaError_t cudaFree(void* block) {
  ::operator delete (block, std::align_val_t{kAlignment});
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** block, std::size_t bytes, unsigned) {
  return cudaMalloc(block, bytes);
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t) {
  std::memmove(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, std::size_t bytes,
                                cudaStream_t stream) {
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream);
}
cudaError_t cudaMemsetAsync(void* block, int value, std::size_t bytes, cudaStream_t) {
  std::memset(block, value, bytes);
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new SimulatedStream();
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) {
  return last_error;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = new SimulatedEvent();
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return cudaEventCreate(event);
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  event->time = std::chrono::steady_clock::now();
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) {
  return last_error;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - begin->time).count();
  return cudaSuccess;
}
cudaError_t cudaProfilerStart() {
  return cudaSuccess;
}
cudaError_t cudaProfilerStop() {
  return cudaSuccess;
}
