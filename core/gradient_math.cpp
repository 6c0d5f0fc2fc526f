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

namespace {

// body(i, row, D) for every listed row, over the threads.
template <class Body>
void for_listed_rows(const Tensor& rows, std::int64_t D, Body&& body) {
  const std::int32_t* listed = rows.data<std::int32_t>();
  parallel_for(rows.elements(), 1 + (1 << 15) / std::max<std::int64_t>(D, 1),
               [&](std::int64_t begin, std::int64_t end, int) {
                 for (std::int64_t i = begin; i < end; ++i) body(i, std::int64_t{listed[i]});
               });
}

}  // namespace

void gather_touched_rows(const Tensor& out, const Tensor& rows, const TouchedRows& from) {
  const std::int64_t D = from.gradient.size(1);
  float* to = out.data<float>();
  const float* gradient = from.gradient.data<float>();
  const std::uint8_t* touched = from.touched.data<std::uint8_t>();
  for_listed_rows(rows, D, [=](std::int64_t i, std::int64_t row) {
    if (touched[row] != 0) {
      std::copy_n(gradient + row * D, D, to + i * D);
    } else {
      std::fill_n(to + i * D, D, 0.0f);
    }
  });
}

void scatter_touched_rows(const TouchedRows& to, const Tensor& rows, const Tensor& values) {
  const std::int64_t D = to.gradient.size(1);
  float* gradient = to.gradient.data<float>();
  std::uint8_t* touched = to.touched.data<std::uint8_t>();
  const float* from = values.data<float>();
  for_listed_rows(rows, D, [=](std::int64_t i, std::int64_t row) {
    std::copy_n(from + i * D, D, gradient + row * D);
    touched[row] = 1;
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

void gather_touched_rows(const Tensor& out, const Tensor& rows, const TouchedRows& from) {
  const Device device = out.device();
  const DeviceScope scope(device);
  device.is_cuda() ? cuda::gather_touched_rows(out, rows, from)
                   : cpu::gather_touched_rows(out, rows, from);
}

void scatter_touched_rows(const TouchedRows& to, const Tensor& rows, const Tensor& values) {
  const Device device = values.device();
  const DeviceScope scope(device);
  device.is_cuda() ? cuda::scatter_touched_rows(to, rows, values)
                   : cpu::scatter_touched_rows(to, rows, values);
}

}  // namespace slotwise
