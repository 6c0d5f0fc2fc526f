// Element-wise arithmetic on the CPU. Sums are taken in double over chunks of a fixed size and
// added in their order, so that they do not depend on the number of threads.
#include "kernels/elementwise.h"

#include <vector>

#include "core/parallel.h"

namespace slotwise::kernels::cpu {
namespace {

constexpr std::int64_t kGrain = 1 << 15;

float factor_of(float factor, const Tensor& scale) {
  return scale.defined() ? factor * scale.data<float>()[0] : factor;
}

double dot_chunk(const float* a, const float* b, std::int64_t count) {
  double total = 0.0;
#pragma omp simd reduction(+ : total)
  for (std::int64_t i = 0; i < count; ++i) {
    total += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  }
  return total;
}

}  // namespace

void add_scaled(const AddScaled& args) {
  float* y = args.y.data<float>();
  const float* a = args.a.data<float>();
  const float* b = args.b.data<float>();
  const float factor = factor_of(args.factor, args.scale);
  parallel_for(args.y.elements(), kGrain, [=](std::int64_t begin, std::int64_t end, int) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) y[i] = a[i] + factor * b[i];
  });
}

void scale(const Scale& args) {
  float* out = args.out.tensor.data<float>();
  const float* x = args.x.data<float>();
  const float factor = factor_of(args.factor, args.scale);
  const bool accumulate = args.out.accumulate;
  parallel_for(args.x.elements(), kGrain, [=](std::int64_t begin, std::int64_t end, int) {
    if (accumulate) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) out[i] += factor * x[i];
    } else {
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) out[i] = factor * x[i];
    }
  });
}

void dot_product(const DotProduct& args) {
  constexpr std::int64_t kChunk = 1 << 14;
  const std::int64_t count = args.a.elements();
  const std::int64_t chunks = (count + kChunk - 1) / kChunk;
  const float* a = args.a.data<float>();
  const float* b = args.b.data<float>();
  double total = 0.0;
  if (chunks <= 1) {
    total = dot_chunk(a, b, count);
  } else {
    std::vector<double> sums(static_cast<std::size_t>(chunks));
    double* partial = sums.data();
    parallel_for(chunks, 4, [=](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t chunk = begin; chunk < end; ++chunk) {
        const std::int64_t first = chunk * kChunk;
        partial[chunk] = dot_chunk(a + first, b + first, std::min(kChunk, count - first));
      }
    });
    for (const double sum : sums) total += sum;
  }
  float& out = args.out.tensor.data<float>()[0];
  out = args.out.accumulate ? out + static_cast<float>(total) : static_cast<float>(total);
}

}  // namespace slotwise::kernels::cpu
