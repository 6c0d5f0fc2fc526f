// Matrix product, row-major:  C = alpha * op(A) * op(B) + beta * C.
// C: [m, n] f32, op(A): [m, k], op(B): [k, n], both f32 or both bf16: products and sums are fp32 in
// either case (never TF32). k = 0 gives beta * C.
#pragma once

#include "kernels/dispatch.h"

namespace slotwise::kernels {

struct Gemm {
  Tensor c;
  Tensor a;
  Tensor b;
  bool transpose_a = false;
  bool transpose_b = false;
  float alpha = 1.0f;
  float beta = 0.0f;
};
SLOTWISE_OP(gemm, Gemm)

}  // namespace slotwise::kernels
