// y[D] = (y +) sum_i weight_i * row_i, the inner loop of every sum over table rows. Four rows go at
// a time, eight where they are long, so that y is read and written once for all of them, in the
// order given: the bits depend on the order of the rows alone. Rows are f32 or bf16; the sum is
// fp32.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/bfloat16.h"

namespace slotwise::kernels::cpu {

inline float widen(float value) {
  return value;
}
inline float widen(BFloat16 value) {
  return static_cast<float>(value);
}

// While kRows rows are summed, cache line by cache line, the same lines of as many later rows are
// prefetched: a steady stream of requests instead of bursts. Ordinary callers pass the rows
// themselves. The sum is taken row after row, so its bits do not depend on kRows.
template <int kRows, bool kAdd, class Value>
void sum_row_group(float* __restrict y, std::int64_t D, const Value* const* rows,
                   const float* weights, const Value* const* later) {
  constexpr std::int64_t kLine = 64 / static_cast<std::int64_t>(sizeof(Value));
  const Value* row[kRows];
  float weight[kRows];
  for (int i = 0; i < kRows; ++i) {
    row[i] = rows[i];
    weight[i] = weights[i];
  }
  const auto add_columns = [&](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t d = begin; d < end; ++d) {
      float sum = kAdd ? y[d] + weight[0] * widen(row[0][d]) : weight[0] * widen(row[0][d]);
#pragma GCC unroll 8
      for (int i = 1; i < kRows; ++i) sum += weight[i] * widen(row[i][d]);
      y[d] = sum;
    }
  };
  std::int64_t d = 0;
  for (; d + kLine <= D; d += kLine) {
    for (int i = 0; i < kRows; ++i) __builtin_prefetch(later[i] + d);
    add_columns(d, d + kLine);
  }
  add_columns(d, D);
}

template <bool kAdd, class Value>
void sum_one_row(float* __restrict y, std::int64_t D, const Value* __restrict row, float weight,
                 const Value* later) {
  constexpr std::int64_t kLine = 64 / static_cast<std::int64_t>(sizeof(Value));
  for (std::int64_t d = 0; d < D; d += kLine) __builtin_prefetch(later + d);
#pragma omp simd
  for (std::int64_t d = 0; d < D; ++d) {
    const float term = weight * widen(row[d]);
    y[d] = kAdd ? y[d] + term : term;
  }
}

// row_at(i), weight_at(i) for i in [0, count); later_at(i): the row to prefetch beside row i.
template <class RowAt, class WeightAt, class LaterAt>
void sum_rows(float* y, std::int64_t D, std::int64_t count, bool add, RowAt&& row_at,
              WeightAt&& weight_at, LaterAt&& later_at) {
  using Value = std::remove_cvref_t<decltype(*row_at(0))>;
  if (count == 0 && !add) {
    for (std::int64_t d = 0; d < D; ++d) y[d] = 0.0f;
  }
  std::int64_t i = 0;
  const auto group = [&]<int kRows>(std::integral_constant<int, kRows>) {
    const Value* rows[kRows];
    const Value* later[kRows];
    float weights[kRows];
    for (int r = 0; r < kRows; ++r) {
      rows[r] = row_at(i + r);
      later[r] = later_at(i + r);
      weights[r] = weight_at(i + r);
    }
    if (add || i > 0) {
      sum_row_group<kRows, true>(y, D, rows, weights, later);
    } else {
      sum_row_group<kRows, false>(y, D, rows, weights, later);
    }
    i += kRows;
  };
  const bool long_rows = D * static_cast<std::int64_t>(sizeof(Value)) >= 1024;
  while (long_rows && i + 8 <= count) group(std::integral_constant<int, 8>());
  while (i + 4 <= count) group(std::integral_constant<int, 4>());
  for (; i < count; ++i) {
    if (add || i > 0) {
      sum_one_row<true>(y, D, row_at(i), weight_at(i), later_at(i));
    } else {
      sum_one_row<false>(y, D, row_at(i), weight_at(i), later_at(i));
    }
  }
}

}  // namespace slotwise::kernels::cpu
