// Softmax cross-entropy on the CPU: threads over rows; a row is read for its maximum, for its
// exponentials (kept in dlogits) and for the final scaling, the last two out of the cache.
// The target's exponential is kept out of the sum of the others: 1 - p(target) = others / total has
// full precision where p is close to 1, and the loss of a certain row does not drown in rounding.
#include "kernels/cross_entropy.h"

#include <cmath>
#include <cstring>

#include "core/parallel.h"
#include "kernels/cpu/index_check.h"
#include "kernels/math.h"

namespace slotwise::kernels::cpu {
namespace {

float maximum(const float* x, std::int64_t count) {
  float most = x[0];
#pragma omp simd reduction(max : most)
  for (std::int64_t i = 0; i < count; ++i) most = x[i] > most ? x[i] : most;
  return most;
}

// Sum of exp(x - shift), kept in `out` where wanted (which may be x). fp32 inside chunks, double
// over them.
template <bool kKeep>
double exponentials(float* out, const float* x, float shift, std::int64_t count) {
  constexpr std::int64_t kChunk = 1024;
  double total = 0.0;
  for (std::int64_t first = 0; first < count; first += kChunk) {
    const std::int64_t last = std::min(first + kChunk, count);
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = first; i < last; ++i) {
      const float e = fast_exp(x[i] - shift);
      if constexpr (kKeep) out[i] = e;
      sum += e;
    }
    total += static_cast<double>(sum);
  }
  return total;
}

template <bool kKeep>
float row_loss(float* dlogits, const float* logits, std::int64_t target, float scale,
               std::int64_t classes) {
  const float most = maximum(logits, classes);
  const float wanted = logits[target];
  const double at_target = static_cast<double>(fast_exp(wanted - most));
  const std::int64_t after = target + 1;
  double others = exponentials<kKeep>(dlogits, logits, most, target);
  others +=
      exponentials<kKeep>(kKeep ? dlogits + after : nullptr, logits + after, most, classes - after);
  const double total = others + at_target;
  if constexpr (kKeep) {
    const float factor = static_cast<float>(static_cast<double>(scale) / total);
    dlogits[target] = 0.0f;
#pragma omp simd
    for (std::int64_t i = 0; i < classes; ++i) dlogits[i] *= factor;
    dlogits[target] = static_cast<float>(-static_cast<double>(scale) * others / total);
  }
  return static_cast<float>(std::log1p(others + (at_target - 1.0)) +
                            (static_cast<double>(most) - static_cast<double>(wanted)));
}

}  // namespace

void cross_entropy(const CrossEntropy& args) {
  const std::int64_t rows = args.logits.size(0);
  const std::int64_t classes = args.logits.size(1);
  const std::int32_t* targets = args.targets.data<std::int32_t>();
  check_indices("cross_entropy", "targets", targets, rows, INT32_MIN, classes);
  float* losses = args.losses.data<float>();
  float* dlogits = args.dlogits.defined() ? args.dlogits.data<float>() : nullptr;
  const float* logits = args.logits.data<float>();
  const float scale = args.scale;
  const std::int64_t grain = 16384 / std::max<std::int64_t>(classes, 1) + 1;
  parallel_for(rows, grain, [=](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t row = begin; row < end; ++row) {
      const float* x = logits + row * classes;
      float* dx = dlogits == nullptr ? nullptr : dlogits + row * classes;
      if (targets[row] < 0) {
        losses[row] = 0.0f;
        if (dx != nullptr) std::memset(dx, 0, static_cast<std::size_t>(classes) * sizeof(float));
      } else if (dx != nullptr) {
        losses[row] = row_loss<true>(dx, x, targets[row], scale, classes);
      } else {
        losses[row] = row_loss<false>(nullptr, x, targets[row], scale, classes);
      }
    }
  });
}

}  // namespace slotwise::kernels::cpu
