#include "kernels/gemm.h"

#include "kernels/cpu/sgemm.h"

namespace slotwise::kernels::cpu {

void gemm(const Gemm& args) {
  const std::int64_t k = args.transpose_a ? args.a.size(0) : args.a.size(1);
  if (k == 0) {  // libraries differ on whether beta applies to an empty sum
    for (float& x : args.c.span<float>()) x = args.beta == 0.0f ? 0.0f : args.beta * x;
    return;
  }
  sgemm({.transpose_a = args.transpose_a,
         .transpose_b = args.transpose_b,
         .m = args.c.size(0),
         .n = args.c.size(1),
         .k = k,
         .alpha = args.alpha,
         .a = args.a.data<float>(),
         .lda = args.a.size(1),
         .b = args.b.data<float>(),
         .ldb = args.b.size(1),
         .beta = args.beta,
         .c = args.c.data<float>(),
         .ldc = args.c.size(1)});
}

}  // namespace slotwise::kernels::cpu
