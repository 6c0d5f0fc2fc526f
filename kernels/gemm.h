// Matrix product, fp32, row-major:  C = alpha * op(A) * op(B) + beta * C.
// C: [m, n], op(A): [m, k], op(B): [k, n]. k = 0 gives beta * C.
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
