#include "core/gradient_math.h"

#include "core/device_scope.h"
#include "core/gradient_math_bodies.h"
#include "core/parallel.h"

namespace slotwise {

namespace cpu {

void add_gradient(const Tensor& sum, const Tensor& grad) {
  float* to = sum.data<float>();
  const float* from = grad.data<float>();
  parallel_for(grad.elements(), 1 << 15, [=](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) to[i] += from[i];
  });
}

void zero_untouched_rows(const TouchedRows& rows) {
  const std::int64_t count = rows.gradient.size(0), D = rows.gradient.size(1);
  float* gradient = rows.gradient.data<float>();
  const std::uint8_t* touched = rows.touched.data<std::uint8_t>();
  parallel_for(count, 1 + (1 << 15) / std::max<std::int64_t>(D, 1),
               [=](std::int64_t begin, std::int64_t end, int) {
                 for (std::int64_t row = begin; row < end; ++row) {
                   if (touched[row] == 0) std::fill_n(gradient + row * D, D, 0.0f);
                 }
               });
}

}  // namespace cpu

void write_gradient(const Sink& sink, const Tensor& grad) {
  if (!sink.accumulate) {
    sink.tensor.copy_from(grad);
    return;
  }
  const DeviceScope scope(grad.device());
  grad.device().is_cuda() ? cuda::add_gradient(sink.tensor, grad)
                          : cpu::add_gradient(sink.tensor, grad);
}

void zero_untouched_rows(const TouchedRows& rows) {
  const Device device = rows.gradient.device();
  const DeviceScope scope(device);
  device.is_cuda() ? cuda::zero_untouched_rows(rows) : cpu::zero_untouched_rows(rows);
}

}  // namespace slotwise
