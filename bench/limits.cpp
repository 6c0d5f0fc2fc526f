#include "bench/limits.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "core/device_timer.h"
#include "core/parallel.h"
#include "core/random.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"

namespace slotwise::bench {
namespace {

std::int64_t buffer_bytes(Device device) {
  return std::int64_t{device.is_cuda() ? 1024 : 256} << 20;
}

struct Buffers {
  explicit Buffers(Device device)
      : from(noise({buffer_bytes(device) / 4}, device)),
        to(noise({buffer_bytes(device) / 4}, device)) {}
  Tensor from, to;
};

const Buffers& buffers(Device device) {
  static const Buffers made(device);
  SLOTWISE_CHECK(made.from.device() == device, "[bench] a program measures one device");
  return made;
}

// One pass over all threads: bytes per second.
template <class Body>
double pass_rate(double bytes, Body&& body) {
  DeviceTimer timer({});
  timer.start();
  parallel_for(buffer_bytes({}) / 4, 1, body);
  return bytes / timer.stop();
}

// Vectors by hand: a compiler would make a call of memcpy of a plain loop.
double stream_rate() {
  using Lanes = float __attribute__((vector_size(32)));
  const float* in = buffers({}).from.data<float>();
  float* out = buffers({}).to.data<float>();
  return pass_rate(static_cast<double>(copy_bytes({})),
                   [=](std::int64_t first, std::int64_t last, int) {
                     for (std::int64_t i = first / 8 * 8; i + 8 <= last; i += 8) {
                       Lanes lanes = *reinterpret_cast<const Lanes*>(in + i);
                       asm volatile("" : "+x"(lanes));
                       *reinterpret_cast<Lanes*>(out + i) = lanes;
                     }
                   });
}

double measure_gemm(Device device, DType operands) {
  const std::int64_t size = device.is_cuda() ? 8192 : 1024;
  const auto operand = [&] {
    const Tensor x = noise({size, size}, device);
    const Tensor narrow = Tensor::empty(x.shape(), operands, device);
    kernels::cast({.y = narrow, .x = x});
    return narrow;
  };
  const Tensor a = operand(), b = operand(), c = Tensor::empty(a.shape(), DType::f32, device);
  DeviceTimer timer(device);
  std::vector<double> rates;
  for (int round = 0; round < 6; ++round) {
    timer.start();
    kernels::gemm({.c = c, .a = a, .b = b});
    rates.push_back(gemm_flops(device) / timer.stop());
  }
  rates.erase(rates.begin());  // it chose a kernel
  return median(rates);
}

}  // namespace

std::int64_t copy_bytes(Device device) {
  return 2 * buffer_bytes(device);
}

double copy_rate(Device device) {
  if (device.is_cpu()) return stream_rate();
  const Buffers& pair = buffers(device);
  DeviceTimer timer(device);
  timer.start();
  pair.to.copy_from(pair.from);
  return static_cast<double>(copy_bytes(device)) / timer.stop();
}

double memcpy_rate() {
  const float* in = buffers({}).from.data<float>();
  float* out = buffers({}).to.data<float>();
  return pass_rate(
      static_cast<double>(copy_bytes({})), [=](std::int64_t first, std::int64_t last, int) {
        std::memcpy(out + first, in + first, static_cast<std::size_t>(last - first) * 4);
      });
}

double read_rate() {
  const float* values = buffers({}).from.data<float>();
  return pass_rate(static_cast<double>(buffer_bytes({})),
                   [=](std::int64_t first, std::int64_t last, int) {
                     float lanes[32] = {};
                     for (std::int64_t i = first; i + 32 <= last; i += 32) {
#pragma omp simd
                       for (int lane = 0; lane < 32; ++lane) lanes[lane] += values[i + lane];
                     }
                     asm volatile("" : : "r"(lanes) : "memory");
                   });
}

double gemm_flops(Device device) {
  const double size = device.is_cuda() ? 8192.0 : 1024.0;
  return 2.0 * size * size * size;
}

double gemm_rate(Device device, DType operands) {
  static std::map<DType, double> measured;
  const DType type = device.is_cuda() ? operands : DType::f32;
  const auto found = measured.find(type);
  if (found != measured.end()) return found->second;
  return measured[type] = measure_gemm(device, type);
}

void sweep_caches(Device device) {
  const Tensor& from = buffers(device).from;
  const Tensor sum = Tensor::empty({1}, DType::f32, device);
  kernels::dot_product({.out = {sum}, .a = from, .b = from});
}

Tensor noise(const Shape& shape, Device device, const char* name) {
  constexpr std::int64_t kDrawn = 1 << 18;
  const Tensor out = Tensor::empty(shape, DType::f32, device, name);
  const Tensor flat = out.view({out.elements()});
  std::int64_t filled = std::min(kDrawn, out.elements());
  const Tensor drawn = Tensor::empty({filled});
  fill_uniform(drawn, -1.0f, 1.0f, Random(0, name));
  flat.slice(0, filled).copy_from(drawn);
  while (filled < out.elements()) {
    const std::int64_t count = std::min(filled, out.elements() - filled);
    flat.slice(filled, filled + count).copy_from(flat.slice(0, count));
    filled += count;
  }
  return out;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace slotwise::bench
