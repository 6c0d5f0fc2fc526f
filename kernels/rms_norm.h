// RMS normalisation of rows (Zhang & Sennrich 2019), with the residual addition that precedes it
// fused in:
//   s = x (+ residual);  y = s / sqrt(mean(s^2) + epsilon) * gain
// x, residual, sum, y: [rows, D] (any shape read as rows of its last size); inverse_rms: [rows].
// gain: [G, D] or [D], optional; row r uses gain row r % G (the halves of a query have their own
// gains).
#pragma once

#include "kernels/dispatch.h"

namespace slotwise::kernels {

struct RmsNormForward {
  Tensor y;
  Tensor sum;  // optional: x + residual; wanted when residual is given
  Tensor inverse_rms;
  Tensor x;
  Tensor residual;  // optional
  Tensor gain;      // optional: 1
  float epsilon = 1e-5f;
};
SLOTWISE_OP(rms_norm_forward, RmsNormForward)

struct RmsNormBackward {
  Sink dx;      // gradient of s (the same for x and residual); optional
  Sink dgain;   // optional
  Tensor dy;    // optional when only dsum has a gradient
  Tensor dsum;  // optional: gradient that reaches s directly; may be dx.tensor itself
  Tensor s;     // x, or sum when a residual was added
  Tensor inverse_rms;
  Tensor gain;  // optional
};
SLOTWISE_OP(rms_norm_backward, RmsNormBackward)

}  // namespace slotwise::kernels
