// Rotary embedding on the CPU: threads over tokens, SIMD over the D / 2 planes of a head.
#include "kernels/rotary.h"

#include "core/parallel.h"
#include "kernels/cpu/index_check.h"

namespace slotwise::kernels::cpu {
namespace {

// Both halves are read before they are written, so y may be x.
void rotate(float* y, const float* x, const float* cosine, const float* sine, float sign,
            std::int64_t half) {
#pragma omp simd
  for (std::int64_t i = 0; i < half; ++i) {
    const float s = sign * sine[i];
    const float first = x[i];
    const float second = x[i + half];
    y[i] = first * cosine[i] - second * s;
    y[i + half] = second * cosine[i] + first * s;
  }
}

}  // namespace

void rotary(const Rotary& args) {
  const std::int64_t tokens = args.x.size(0);
  const std::int64_t heads = args.x.size(1);
  const std::int64_t size = args.x.size(2);
  const std::int64_t half = size / 2;
  const std::int32_t* positions = args.positions.data<std::int32_t>();
  check_indices("rotary", "positions", positions, tokens, 0, args.cosine.size(0));
  float* y = args.y.data<float>();
  const float* x = args.x.data<float>();
  const float* cosine = args.cosine.data<float>();
  const float* sine = args.sine.data<float>();
  const float sign = args.inverse ? -1.0f : 1.0f;
  const std::int64_t grain = 65536 / std::max<std::int64_t>(heads * size, 1) + 1;
  parallel_for(tokens, grain, [=](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t token = begin; token < end; ++token) {
      const std::int64_t turn = positions[token] * half;
      for (std::int64_t head = 0; head < heads; ++head) {
        const std::int64_t at = (token * heads + head) * size;
        rotate(y + at, x + at, cosine + turn, sine + turn, sign, half);
      }
    }
  });
}

}  // namespace slotwise::kernels::cpu
