#include <cblas.h>

#include "core/parallel.h"
#include "kernels/cpu/sgemm.h"

// OpenBLAS built on its own threads does not follow OpenMP's count; others lack the function.
extern "C" void openblas_set_num_threads(int) __attribute__((weak));

namespace slotwise::kernels::cpu {

void sgemm(const Sgemm& call) {
  if (call.m == 0 || call.n == 0) return;
  if (openblas_set_num_threads != nullptr) openblas_set_num_threads(thread_count());
  const auto size = [](std::int64_t value) { return static_cast<int>(value); };
  cblas_sgemm(CblasRowMajor, call.transpose_a ? CblasTrans : CblasNoTrans,
              call.transpose_b ? CblasTrans : CblasNoTrans, size(call.m), size(call.n),
              size(call.k), call.alpha, call.a, size(call.lda), call.b, size(call.ldb), call.beta,
              call.c, size(call.ldc));
}

}  // namespace slotwise::kernels::cpu
