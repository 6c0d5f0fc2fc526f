// Element by element over contiguous fp32 arrays, four elements a thread where all of them allow
// loads of 16 bytes. A body is a struct with
//   template <int kWidth> __device__ void at(std::int64_t i) const;
// which handles elements [i * kWidth, (i + 1) * kWidth).
#pragma once

#include "kernels/cuda/launch.h"

namespace slotwise::kernels::cuda {

template <int kWidth>
struct alignas(kWidth * sizeof(float)) Floats {
  float of[kWidth];
  __device__ float& operator[](int i) { return of[i]; }
  __device__ float operator[](int i) const { return of[i]; }
};

template <int kWidth>
__device__ inline Floats<kWidth> load(const float* from, std::int64_t i) {
  return reinterpret_cast<const Floats<kWidth>*>(from)[i];
}
template <int kWidth>
__device__ inline void store(float* to, std::int64_t i, const Floats<kWidth>& value) {
  reinterpret_cast<Floats<kWidth>*>(to)[i] = value;
}
// to = value, or to += value.
template <int kWidth>
__device__ inline void store(float* to, std::int64_t i, Floats<kWidth> value, bool accumulate) {
  if (accumulate) {
    const Floats<kWidth> before = load<kWidth>(to, i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) value[j] = before[j] + value[j];
  }
  store<kWidth>(to, i, value);
}

template <int kWidth, class Body>
__global__ void __launch_bounds__(kBlock) pointwise_kernel(std::int64_t n, Body body) {
  const std::int64_t groups = n / kWidth;
  for (std::int64_t i = global_thread(); i < groups; i += global_threads()) {
    body.template at<kWidth>(i);
  }
  if constexpr (kWidth > 1) {
    const std::int64_t rest = groups * kWidth + global_thread();
    if (rest < n) body.template at<1>(rest);
  }
}

// body.at over n elements; `wide` says that all arrays allow groups of four.
template <class Body>
void pointwise(const char* op, Device device, std::int64_t n, bool wide, const Body& body) {
  if (n == 0) return;
  const cudaStream_t queue = stream(device);
  if (wide) {
    pointwise_kernel<4><<<grid_for((n + 3) / 4), kBlock, 0, queue>>>(n, body);
  } else {
    pointwise_kernel<1><<<grid_for(n), kBlock, 0, queue>>>(n, body);
  }
  SLOTWISE_CUDA_LAUNCHED(op);
}

}  // namespace slotwise::kernels::cuda
