#include "kernels/gemm.h"

namespace slotwise::kernels {

void gemm(const Gemm& args) {
  const Shape& a = args.a.shape();
  const Shape& b = args.b.shape();
  SLOTWISE_CHECK(a.dimensions() == 2 && b.dimensions() == 2,
                 "[gemm] expected matrices, got {} and {}", a.text(), b.text());
  const std::int64_t m = args.transpose_a ? a[1] : a[0];
  const std::int64_t k = args.transpose_a ? a[0] : a[1];
  const std::int64_t inner = args.transpose_b ? b[1] : b[0];
  const std::int64_t n = args.transpose_b ? b[0] : b[1];
  SLOTWISE_CHECK(k == inner, "[gemm] inner sizes differ: {}{} and {}{}", a.text(),
                 args.transpose_a ? "^T" : "", b.text(), args.transpose_b ? "^T" : "");
  expect_tensor("gemm", "C", args.c, {m, n});
  const DType operands = args.a.dtype();
  SLOTWISE_CHECK(operands == args.b.dtype() && (operands == DType::f32 || operands == DType::bf16),
                 "[gemm] expected A and B both f32 or both bf16, got {} and {}", name_of(operands),
                 name_of(args.b.dtype()));
  SLOTWISE_DISPATCH(gemm, args, args.c);
}

}  // namespace slotwise::kernels
