#include "kernels/cuda/head_layout.h"

#include "kernels/cuda/launch.h"

namespace slotwise::kernels::cuda {
namespace {

// to [outer, second, first, width] = from [outer, first, second, width], `first` and `second`
// changing places.
__global__ void __launch_bounds__(kBlock)
    swap_middle(float* __restrict__ to, const float* __restrict__ from, std::int64_t items,
                std::int64_t first, std::int64_t second, std::int64_t width) {
  for (std::int64_t i = global_thread(); i < items; i += global_threads()) {
    const std::int64_t w = i % width, a = i / width % first, b = i / width / first % second;
    const std::int64_t outer = i / width / first / second;
    to[i] = from[((outer * first + a) * second + b) * width + w];
  }
}

void swap(const Tensor& to, const Tensor& from, std::int64_t first, std::int64_t second,
          std::int64_t width) {
  const std::int64_t items = to.elements();
  if (items == 0) return;
  swap_middle<<<grid_for(items), kBlock, 0, stream(to)>>>(to.data<float>(), from.data<float>(),
                                                          items, first, second, width);
  SLOTWISE_CUDA_LAUNCHED("attention");
}

}  // namespace

Tensor split_heads(const Tensor& x, const char* name) {
  const std::int64_t B = x.size(0), T = x.size(1), H = x.size(2), W = x.size(3);
  Tensor heads = Tensor::empty({B * H, T, W}, DType::f32, x.device(), name);
  swap(heads, x, T, H, W);
  return heads;
}

void merge_heads(const Tensor& x, const Tensor& heads) {
  swap(x, heads, x.size(2), x.size(1), x.size(3));
}

}  // namespace slotwise::kernels::cuda
