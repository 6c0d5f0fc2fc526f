// y[D] = (y +) sum_i weight_i * row_i, the inner loop of every sum over table rows. Four rows go at
// a time, so that y is read and written once for four of them, in the order given: the bits depend
// on the order of the rows alone. Rows are f32 or bf16; the sum is fp32.
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

// While four rows are summed, cache line by cache line, the same lines of four later rows are
// prefetched: a steady stream of requests instead of bursts. Ordinary callers pass the rows
// themselves.
template <bool kAdd, class Value>
void sum_four_rows(float* __restrict y, std::int64_t D, const Value* const* rows,
                   const float* weights, const Value* const* later) {
  constexpr std::int64_t kLine = 64 / static_cast<std::int64_t>(sizeof(Value));
  const Value* __restrict row0 = rows[0];
  const Value* __restrict row1 = rows[1];
  const Value* __restrict row2 = rows[2];
  const Value* __restrict row3 = rows[3];
  const float weight0 = weights[0], weight1 = weights[1];
  const float weight2 = weights[2], weight3 = weights[3];
  const auto add_columns = [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t d = begin; d < end; ++d) {
      float sum = kAdd ? y[d] + weight0 * widen(row0[d]) : weight0 * widen(row0[d]);
      sum += weight1 * widen(row1[d]);
      sum += weight2 * widen(row2[d]);
      y[d] = sum + weight3 * widen(row3[d]);
    }
  };
  std::int64_t d = 0;
  for (; d + kLine <= D; d += kLine) {
    for (int i = 0; i < 4; ++i) __builtin_prefetch(later[i] + d);
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
  for (; i + 4 <= count; i += 4) {
    const Value* rows[4] = {row_at(i), row_at(i + 1), row_at(i + 2), row_at(i + 3)};
    const Value* later[4] = {later_at(i), later_at(i + 1), later_at(i + 2), later_at(i + 3)};
    const float weights[4] = {weight_at(i), weight_at(i + 1), weight_at(i + 2), weight_at(i + 3)};
    if (add || i > 0) {
      sum_four_rows<true>(y, D, rows, weights, later);
    } else {
      sum_four_rows<false>(y, D, rows, weights, later);
    }
  }
  for (; i < count; ++i) {
    if (add || i > 0) {
      sum_one_row<true>(y, D, row_at(i), weight_at(i), later_at(i));
    } else {
      sum_one_row<false>(y, D, row_at(i), weight_at(i), later_at(i));
    }
  }
}

}  // namespace slotwise::kernels::cpu
