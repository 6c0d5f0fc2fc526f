// SwiGLU on the CPU: one vectorised pass each way.
#include "kernels/swiglu.h"

#include "core/parallel.h"
#include "kernels/math.h"

namespace slotwise::kernels::cpu {
namespace {

constexpr std::int64_t kGrain = 1 << 14;  // about 15 us of work

// Wanted gradients are compile-time flags: a test inside the loop would keep it from vectorising.
template <bool kGate, bool kUp, bool kAddGate, bool kAddUp>
void backward(const SwigluBackward& args) {
  float* dgate = kGate ? args.dgate.tensor.data<float>() : nullptr;
  float* dup = kUp ? args.dup.tensor.data<float>() : nullptr;
  const float* dy = args.dy.data<float>();
  const float* gate = args.gate.data<float>();
  const float* up = args.up.data<float>();
  parallel_for(args.dy.elements(), kGrain, [=](std::int64_t begin, std::int64_t end, int) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      const float s = sigmoid(gate[i]);
      const float grad = dy[i];
      const float to_gate = grad * up[i] * (s * (1.0f + gate[i] * (1.0f - s)));
      const float to_up = grad * (gate[i] * s);
      if constexpr (kGate) dgate[i] = kAddGate ? dgate[i] + to_gate : to_gate;
      if constexpr (kUp) dup[i] = kAddUp ? dup[i] + to_up : to_up;
    }
  });
}

template <bool kGate, bool kUp>
void choose(const SwigluBackward& args) {
  if (args.dgate.accumulate) {
    args.dup.accumulate ? backward<kGate, kUp, true, true>(args)
                        : backward<kGate, kUp, true, false>(args);
  } else {
    args.dup.accumulate ? backward<kGate, kUp, false, true>(args)
                        : backward<kGate, kUp, false, false>(args);
  }
}

}  // namespace

void swiglu_forward(const SwigluForward& args) {
  float* y = args.y.data<float>();
  const float* gate = args.gate.data<float>();
  const float* up = args.up.data<float>();
  parallel_for(args.y.elements(), kGrain, [=](std::int64_t begin, std::int64_t end, int) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) y[i] = silu(gate[i]) * up[i];
  });
}

void swiglu_backward(const SwigluBackward& args) {
  if (args.dgate && args.dup) return choose<true, true>(args);
  if (args.dgate) return choose<true, false>(args);
  if (args.dup) return choose<false, true>(args);
}

}  // namespace slotwise::kernels::cpu
