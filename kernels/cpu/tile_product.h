// Products of tiles that lie in the cache, for kernels that multiply small blocks many times
// (attention):
//   C[rows, columns] (+)= A[rows, depth] * B[depth, columns],   columns a multiple of kLanes.
// A may be transposed by its two strides. 4 x 16 sums stay in registers: 8 independent FMA chains,
// which is what two FMA units of latency 4 need. No threads, no allocation, no alignment asked for.
#pragma once

#include <cstdint>

namespace slotwise::kernels::cpu {

constexpr std::int64_t kLanes = 8;

// Unaligned vector of fp32; the compiler splits it where the machine's vectors are shorter.
using Lanes [[gnu::vector_size(32), gnu::aligned(4), gnu::may_alias]] = float;

inline std::int64_t padded(std::int64_t size) {
  return (size + kLanes - 1) / kLanes * kLanes;
}

struct TileProduct {
  float* c;
  std::int64_t c_row;
  const float* a;
  std::int64_t a_row, a_depth;  // A(i, k) = a[i * a_row + k * a_depth]
  const float* b;
  std::int64_t b_row;
  std::int64_t rows, columns, depth;
  bool accumulate = false;
};

template <int kRows, int kVectors>
inline void multiply_block(const TileProduct& p, std::int64_t row, std::int64_t column) {
  const float* a = p.a + row * p.a_row;
  const float* b = p.b + column;
  float* c = p.c + row * p.c_row + column;
  const std::int64_t a_row = p.a_row;
  Lanes sums[kRows][kVectors] = {};
  for (std::int64_t k = 0; k < p.depth; ++k, a += p.a_depth, b += p.b_row) {
    const Lanes* values = reinterpret_cast<const Lanes*>(b);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
      for (int j = 0; j < kVectors; ++j) sums[i][j] += a[i * a_row] * values[j];
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
    Lanes* to = reinterpret_cast<Lanes*>(c + i * p.c_row);
#pragma GCC unroll 2
    for (int j = 0; j < kVectors; ++j) to[j] = p.accumulate ? to[j] + sums[i][j] : sums[i][j];
  }
}

template <int kVectors>
inline void multiply_panel(const TileProduct& p, std::int64_t column) {
  std::int64_t row = 0;
  for (; row + 4 <= p.rows; row += 4) multiply_block<4, kVectors>(p, row, column);
  switch (p.rows - row) {
    case 3:
      multiply_block<3, kVectors>(p, row, column);
      break;
    case 2:
      multiply_block<2, kVectors>(p, row, column);
      break;
    case 1:
      multiply_block<1, kVectors>(p, row, column);
      break;
    default:
      break;
  }
}

inline void multiply(const TileProduct& p) {
  std::int64_t column = 0;
  for (; column + 2 * kLanes <= p.columns; column += 2 * kLanes) multiply_panel<2>(p, column);
  if (column < p.columns) multiply_panel<1>(p, column);
}

}  // namespace slotwise::kernels::cpu
