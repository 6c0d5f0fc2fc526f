// Element math shared by all backends. exp is a branch-free polynomial (Cephes: 2 ulp) so that
// plain loops over it vectorise; std::exp would not.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#ifdef __CUDACC__
#define SLOTWISE_HD __host__ __device__
#else
#define SLOTWISE_HD
#endif

namespace slotwise::kernels {

SLOTWISE_HD inline float fast_exp(float x) {
#ifdef __CUDA_ARCH__
  return expf(x);
#else
  // -87.3 .. 88.7 is the range of normal fp32 results; below it the true value rounds to about 0.
  const float clamped = x < -87.3f ? -87.3f : (x > 88.7f ? 88.7f : x);
  const float n = std::floor(clamped * 1.44269504088896341f + 0.5f);
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const float scale = std::bit_cast<float>((static_cast<std::int32_t>(n) + 127) << 23);
  const float result = x < -87.3f ? 0.0f : p * scale;
  return x == x ? result : x;
#endif
}

SLOTWISE_HD inline float sigmoid(float x) {
  return 1.0f / (1.0f + fast_exp(-x));
}
SLOTWISE_HD inline float silu(float x) {
  return x * sigmoid(x);
}
SLOTWISE_HD inline float silu_derivative(float x) {
  const float s = sigmoid(x);
  return s * (1.0f + x * (1.0f - s));
}

}  // namespace slotwise::kernels
