// oneDNN 2.x and 3.x: dnnl_sgemm has the same signature in both and serves fp32.
#include <dnnl.h>

#include "core/error.h"
#include "kernels/cpu/sgemm.h"

namespace slotwise::kernels::cpu {

void sgemm(const Sgemm& call) {
  if (call.m == 0 || call.n == 0) return;
  const dnnl_status_t status =
      dnnl_sgemm(call.transpose_a ? 'T' : 'N', call.transpose_b ? 'T' : 'N', call.m, call.n, call.k,
                 call.alpha, call.a, call.lda, call.b, call.ldb, call.beta, call.c, call.ldc);
  SLOTWISE_CHECK(status == dnnl_success, "[gemm] oneDNN refused {} x {} x {} (status {})", call.m,
                 call.n, call.k, static_cast<int>(status));
}

}  // namespace slotwise::kernels::cpu
