// Softmax of one row. NaN and -inf weigh 0, unless the row holds nothing else: then all entries
// weigh the same. Where +inf occurs, the +inf entries share the weight.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/math.h"

namespace slotwise::kernels::cpu {

inline void softmax_row(float* y, const float* x, std::int64_t count) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  float largest = -kInfinity;
  for (std::int64_t i = 0; i < count; ++i) largest = x[i] > largest ? x[i] : largest;
  if (std::isinf(largest)) {
    const bool uniform = largest < 0.0f;
    std::int64_t sharers = 0;
    for (std::int64_t i = 0; i < count; ++i) sharers += uniform || x[i] == largest;
    const float share = 1.0f / static_cast<float>(sharers);
    for (std::int64_t i = 0; i < count; ++i) y[i] = uniform || x[i] == largest ? share : 0.0f;
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    const float power = fast_exp(x[i] - largest);
    y[i] = power == power ? power : 0.0f;
  }
  float sum = 0.0f;
  for (std::int64_t i = 0; i < count; ++i) sum += y[i];
  const float scale = 1.0f / sum;
  for (std::int64_t i = 0; i < count; ++i) y[i] *= scale;
}

}  // namespace slotwise::kernels::cpu
