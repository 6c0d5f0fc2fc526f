#include "kernels/gemm.h"

#include <optional>

#include "core/parallel.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/sgemm.h"

namespace slotwise::kernels::cpu {
namespace {

// A matrix as fp32: itself, or a widened copy. bf16 is here to be right, not to be fast.
class Operand {
 public:
  explicit Operand(const Tensor& x) {
    if (x.dtype() == DType::f32) {
      data_ = x.data<float>();
      return;
    }
    copy_.emplace(x.elements(), "gemm operand");
    const BFloat16* from = x.data<BFloat16>();
    float* to = copy_->data();
    parallel_for(x.elements(), 1 << 15, [=](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t i = begin; i < end; ++i) to[i] = static_cast<float>(from[i]);
    });
    data_ = to;
  }
  const float* data() const { return data_; }

 private:
  std::optional<Scratch<float>> copy_;
  const float* data_ = nullptr;
};

}  // namespace

void gemm(const Gemm& args) {
  const std::int64_t k = args.transpose_a ? args.a.size(0) : args.a.size(1);
  if (k == 0) {  // libraries differ on whether beta applies to an empty sum
    for (float& x : args.c.span<float>()) x = args.beta == 0.0f ? 0.0f : args.beta * x;
    return;
  }
  const Operand a(args.a), b(args.b);
  sgemm({.transpose_a = args.transpose_a,
         .transpose_b = args.transpose_b,
         .m = args.c.size(0),
         .n = args.c.size(1),
         .k = k,
         .alpha = args.alpha,
         .a = a.data(),
         .lda = args.a.size(1),
         .b = b.data(),
         .ldb = args.b.size(1),
         .beta = args.beta,
         .c = args.c.data<float>(),
         .ldc = args.c.size(1)});
}

}  // namespace slotwise::kernels::cpu
