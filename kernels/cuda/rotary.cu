// Rotary embedding on a CUDA device: a thread turns kWidth neighbouring planes of one head.
#include "kernels/rotary.h"

#include "kernels/cuda/pointwise.cuh"

namespace slotwise::kernels::cuda {
namespace {

struct Turns {
  float* y;
  const float* x;
  const std::int32_t* positions;
  const float *cosine, *sine;
  float sign;
  std::int64_t heads, groups, bound;  // groups: of kWidth planes, in a head
};

// Both halves are read before they are written, so y may be x.
template <int kWidth>
__global__ void __launch_bounds__(kBlock) rotary_kernel(Turns turns, std::int64_t n) {
  for (std::int64_t i = global_thread(); i < n; i += global_threads()) {
    const std::int64_t row = i / turns.groups, plane = i - row * turns.groups;
    const std::int64_t position = turns.positions[row / turns.heads];
    check_index("rotary", position, turns.bound);
    const Floats<kWidth> c = load<kWidth>(turns.cosine, position * turns.groups + plane);
    const Floats<kWidth> s = load<kWidth>(turns.sine, position * turns.groups + plane);
    const std::int64_t at = row * 2 * turns.groups + plane;
    const Floats<kWidth> first = load<kWidth>(turns.x, at);
    const Floats<kWidth> second = load<kWidth>(turns.x, at + turns.groups);
    Floats<kWidth> to_first, to_second;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      const float turn = turns.sign * s[j];
      to_first[j] = first[j] * c[j] - second[j] * turn;
      to_second[j] = second[j] * c[j] + first[j] * turn;
    }
    store<kWidth>(turns.y, at, to_first);
    store<kWidth>(turns.y, at + turns.groups, to_second);
  }
}

}  // namespace

void rotary(const Rotary& args) {
  if (args.x.elements() == 0) return;
  const std::int64_t half = args.x.size(2) / 2;
  Turns turns = {.y = args.y.data<float>(),
                 .x = args.x.data<float>(),
                 .positions = args.positions.data<std::int32_t>(),
                 .cosine = args.cosine.data<float>(),
                 .sine = args.sine.data<float>(),
                 .sign = args.inverse ? -1.0f : 1.0f,
                 .heads = args.x.size(1),
                 .groups = half,
                 .bound = args.cosine.size(0)};
  const bool wide = half % 4 == 0 && aligned_to_16(turns.y, turns.x, turns.cosine, turns.sine);
  if (wide) turns.groups /= 4;
  const std::int64_t n = args.x.size(0) * turns.heads * turns.groups;
  const auto kernel = wide ? rotary_kernel<4> : rotary_kernel<1>;
  kernel<<<grid_for(n), kBlock, 0, stream(args.x)>>>(turns, n);
  SLOTWISE_CUDA_LAUNCHED("rotary");
}

}  // namespace slotwise::kernels::cuda
