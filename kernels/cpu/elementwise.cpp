// Element-wise arithmetic on the CPU. Sums are taken in double over chunks of a fixed size and
// added in their order, so that they do not depend on the number of threads.
#include "kernels/elementwise.h"

#include <atomic>
#include <cmath>
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

// Chunks of rows, so that sums of whole rows are added in one order.
double dot_of_rows(const DotProduct& args) {
  constexpr std::int64_t kRows = 256;
  const std::int64_t rows = args.a.size(0), D = args.a.size(1);
  const float* a = args.a.data<float>();
  const float* b = args.b.data<float>();
  const std::uint8_t* counts = args.rows.data<std::uint8_t>();
  std::vector<double> sums(static_cast<std::size_t>((rows + kRows - 1) / kRows));
  double* partial = sums.data();
  const auto chunks = static_cast<std::int64_t>(sums.size());
  parallel_for(chunks, 4, [=](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      double sum = 0.0;
      for (std::int64_t row = chunk * kRows; row < std::min(rows, (chunk + 1) * kRows); ++row) {
        if (counts[row] != 0) sum += dot_chunk(a + row * D, b + row * D, D);
      }
      partial[chunk] = sum;
    }
  });
  double total = 0.0;
  for (const double sum : sums) total += sum;
  return total;
}

double dot_of_all(const DotProduct& args) {
  constexpr std::int64_t kChunk = 1 << 14;
  const std::int64_t count = args.a.elements();
  const std::int64_t chunks = (count + kChunk - 1) / kChunk;
  const float* a = args.a.data<float>();
  const float* b = args.b.data<float>();
  if (chunks <= 1) return dot_chunk(a, b, count);
  std::vector<double> sums(static_cast<std::size_t>(chunks));
  double* partial = sums.data();
  parallel_for(chunks, 4, [=](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      const std::int64_t first = chunk * kChunk;
      partial[chunk] = dot_chunk(a + first, b + first, std::min(kChunk, count - first));
    }
  });
  double total = 0.0;
  for (const double sum : sums) total += sum;
  return total;
}

void dot_product(const DotProduct& args) {
  const double total = args.rows.defined() ? dot_of_rows(args) : dot_of_all(args);
  float& out = args.out.tensor.data<float>()[0];
  out = args.out.accumulate ? out + static_cast<float>(total) : static_cast<float>(total);
}

void count_non_finite(const CountNonFinite& args) {
  const float* x = args.x.data<float>();
  const std::uint8_t* rows = args.rows.defined() ? args.rows.data<std::uint8_t>() : nullptr;
  const std::int64_t D = args.rows.defined() ? args.x.size(1) : 1;
  std::atomic<std::int32_t> count = 0;
  parallel_for(args.x.elements(), kGrain, [&](std::int64_t begin, std::int64_t end, int) {
    std::int32_t mine = 0;
    for (std::int64_t i = begin; i < end; ++i) {
      if (rows == nullptr || rows[i / D] != 0) mine += std::isfinite(x[i]) ? 0 : 1;
    }
    count += mine;
  });
  args.count.data<std::int32_t>()[0] = count;
}

}  // namespace slotwise::kernels::cpu
