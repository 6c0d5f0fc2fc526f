// The one seam to the GEMM library of this build (oneDNN, or any CBLAS): row-major, with leading
// sizes, so that other kernels can multiply pieces of larger tensors. Threads: as OpenMP is set;
// inside a parallel region one.
#pragma once

#include <cstdint>

namespace slotwise::kernels::cpu {

// C[m, n] = alpha * op(A)[m, k] * op(B)[k, n] + beta * C.
struct Sgemm {
  bool transpose_a = false, transpose_b = false;
  std::int64_t m = 0, n = 0, k = 0;
  float alpha = 1.0f;
  const float* a = nullptr;
  std::int64_t lda = 0;
  const float* b = nullptr;
  std::int64_t ldb = 0;
  float beta = 0.0f;
  float* c = nullptr;
  std::int64_t ldc = 0;
};
void sgemm(const Sgemm& call);

}  // namespace slotwise::kernels::cpu
