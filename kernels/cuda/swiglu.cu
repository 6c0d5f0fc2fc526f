// SwiGLU on a CUDA device: one pass each way.
#include "kernels/swiglu.h"

#include "kernels/cuda/pointwise.cuh"
#include "kernels/math.h"

namespace slotwise::kernels::cuda {
namespace {

struct ForwardBody {
  float* y;
  const float *gate, *up;
  template <int kWidth>
  __device__ void at(std::int64_t i) const {
    Floats<kWidth> g = load<kWidth>(gate, i);
    const Floats<kWidth> u = load<kWidth>(up, i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) g[j] = silu(g[j]) * u[j];
    store<kWidth>(y, i, g);
  }
};

struct BackwardBody {
  float *dgate, *dup;  // each may be null
  bool add_gate, add_up;
  const float *dy, *gate, *up;
  template <int kWidth>
  __device__ void at(std::int64_t i) const {
    const Floats<kWidth> grad = load<kWidth>(dy, i), g = load<kWidth>(gate, i),
                         u = load<kWidth>(up, i);
    Floats<kWidth> to_gate, to_up;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      const float s = sigmoid(g[j]);
      to_gate[j] = grad[j] * u[j] * (s * (1.0f + g[j] * (1.0f - s)));
      to_up[j] = grad[j] * (g[j] * s);
    }
    if (dgate != nullptr) store<kWidth>(dgate, i, to_gate, add_gate);
    if (dup != nullptr) store<kWidth>(dup, i, to_up, add_up);
  }
};

}  // namespace

void swiglu_forward(const SwigluForward& args) {
  const ForwardBody body = {
      .y = args.y.data<float>(), .gate = args.gate.data<float>(), .up = args.up.data<float>()};
  pointwise("swiglu", args.y.device(), args.y.elements(), aligned_to_16(body.y, body.gate, body.up),
            body);
}

void swiglu_backward(const SwigluBackward& args) {
  if (!args.dgate && !args.dup) return;
  const BackwardBody body = {.dgate = optional_data<float>(args.dgate.tensor),
                             .dup = optional_data<float>(args.dup.tensor),
                             .add_gate = args.dgate.accumulate,
                             .add_up = args.dup.accumulate,
                             .dy = args.dy.data<float>(),
                             .gate = args.gate.data<float>(),
                             .up = args.up.data<float>()};
  pointwise("swiglu_backward", args.dy.device(), args.dy.elements(),
            aligned_to_16(body.dgate, body.dup, body.dy, body.gate, body.up), body);
}

}  // namespace slotwise::kernels::cuda
