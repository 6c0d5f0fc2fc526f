#include "core/gradient_math.h"

#include "core/parallel.h"

namespace slotwise {

void write_gradient(const Sink& sink, const Tensor& grad) {
  if (!sink.accumulate) {
    sink.tensor.copy_from(grad);
    return;
  }
  SLOTWISE_CHECK(grad.device().is_cpu(), "[write_gradient] this build has no CUDA backend");
  float* to = sink.tensor.data<float>();
  const float* from = grad.data<float>();
  parallel_for(grad.elements(), 1 << 15, [=](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) to[i] += from[i];
  });
}

}  // namespace slotwise
