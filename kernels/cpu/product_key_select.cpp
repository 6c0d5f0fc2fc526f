#include "core/parallel.h"
#include "kernels/cpu/product_key_selector.h"
#include "kernels/cpu/softmax.h"
#include "kernels/product_key.h"

namespace slotwise::kernels::cpu {

void product_key_select(const ProductKeySelect& args) {
  const std::int64_t rows = args.half_scores.size(0), n = args.half_scores.size(2);
  const std::int64_t k = args.slots.size(1);
  const float* half_scores = args.half_scores.data<float>();
  std::int32_t* slots = args.slots.data<std::int32_t>();
  float* scores = args.scores.data<float>();
  parallel_for(rows, 16, [&](std::int64_t begin, std::int64_t end, int) {
    ProductKeySelector selector(n, k);
    for (std::int64_t row = begin; row < end; ++row) {
      const float* first = half_scores + row * 2 * n;
      selector.select(first, first + n, slots + row * k, scores + row * k);
    }
  });
}

void softmax_rows(const SoftmaxRows& args) {
  const std::int64_t count = args.x.shape().last();
  const float* x = args.x.data<float>();
  float* y = args.y.data<float>();
  if (count == 0) return;
  parallel_for(args.x.elements() / count, 64, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t row = begin; row < end; ++row) {
      softmax_row(y + row * count, x + row * count, count);
    }
  });
}

}  // namespace slotwise::kernels::cpu
