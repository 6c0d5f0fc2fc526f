// What the forward and the backward of the blocked body share: the problem and tiles in shared
// memory. A block is 16 x 16 threads; a tile [rows, D] lies in rows of
// D + 4 floats, so that 16 lanes that read 16 bytes of 16 rows meet no bank twice. Head sizes are
// padded with zeros to 64, 128 or 256.
#pragma once

#include "core/error.h"
#include "kernels/attention_rows.h"
#include "kernels/cuda/launch.h"

namespace slotwise::kernels::cuda {

constexpr int kSide = 16;  // threads of a block along rows, and along columns
constexpr std::int64_t kMostHeadSize = 256;

struct AttentionProblem : AttentionRows {
  bool wide;  // rows allow 16-byte accesses

  template <class Args>
  explicit AttentionProblem(const Args& args)
      : AttentionRows(args),
        wide(size % 4 == 0 &&
             aligned_to_16(args.q.raw(), args.k.raw(), args.v.raw(), args.out.raw())) {
    SLOTWISE_CHECK(size <= kMostHeadSize,
                   "[attention] expected heads of at most {} on CUDA, got {}", kMostHeadSize, size);
  }
};

// Blocks are numbered along x alone, for batches may exceed what y and z allow.
inline unsigned attention_grid(const char* op, std::int64_t tiles, std::int64_t pairs) {
  SLOTWISE_CHECK(tiles * pairs <= 2147483647, "[{}] expected at most 2^31 - 1 blocks, got {}", op,
                 tiles * pairs);
  return static_cast<unsigned>(tiles * pairs);
}

// More than 48 KB of shared memory must be asked for.
template <class Kernel>
void allow_shared_memory(const char* op, Kernel* kernel, std::size_t bytes) {
  check_cuda(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  static_cast<int>(bytes)),
             op, "shared memory");
}

#ifdef __CUDACC__

// tile[kRows][kD + 4] = `rows` rows of `size` at distance `stride`, the rest 0: what lies behind
// the visible keys may be anything, NaN included.
template <int kD, int kRows>
__device__ inline void load_tile(float* tile, const float* from, std::int64_t stride,
                                 std::int64_t rows, const AttentionProblem& p) {
  constexpr int kQuads = kD / 4;
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kQuads; i += kSide * kSide) {
    const int row = i / kQuads, d = i % kQuads * 4;
    float4 four = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (row < rows && d < p.size) {
      const float* at = from + row * stride + d;
      if (p.wide) {
        four = *reinterpret_cast<const float4*>(at);
      } else {
        four.x = at[0];
        if (d + 1 < p.size) four.y = at[1];
        if (d + 2 < p.size) four.z = at[2];
        if (d + 3 < p.size) four.w = at[3];
      }
    }
    *reinterpret_cast<float4*>(tile + row * (kD + 4) + d) = four;
  }
}

// Four columns from d of one row, as far as the row goes.
__device__ inline void store_four(float* row, std::int64_t d, const float* from,
                                  const AttentionProblem& p) {
  if (d >= p.size) return;
  if (p.wide) {
    *reinterpret_cast<float4*>(row + d) = make_float4(from[0], from[1], from[2], from[3]);
    return;
  }
  for (int x = 0; x < 4; ++x) {
    if (d + x < p.size) row[d + x] = from[x];
  }
}

__device__ inline float4 four_at(const float* shared) {
  return *reinterpret_cast<const float4*>(shared);
}

// products[i][j] = dot(rows[ty * kM + i], columns[tx + 16 j]).
template <int kD, int kUnroll = 2, int kM, int kN>
__device__ inline void multiply_rows(float (&products)[kM][kN], const float* rows,
                                     const float* columns, int ty, int tx) {
#pragma unroll
  for (int i = 0; i < kM; ++i) {
#pragma unroll
    for (int j = 0; j < kN; ++j) products[i][j] = 0.0f;
  }
#pragma unroll kUnroll
  for (int d = 0; d < kD; d += 4) {
    float4 a[kM], b[kN];
#pragma unroll
    for (int i = 0; i < kM; ++i) a[i] = four_at(rows + (ty * kM + i) * (kD + 4) + d);
#pragma unroll
    for (int j = 0; j < kN; ++j) b[j] = four_at(columns + (tx + kSide * j) * (kD + 4) + d);
#pragma unroll
    for (int i = 0; i < kM; ++i) {
#pragma unroll
      for (int j = 0; j < kN; ++j) {
        float& sum = products[i][j];
        sum += a[i].x * b[j].x;
        sum += a[i].y * b[j].y;
        sum += a[i].z * b[j].z;
        sum += a[i].w * b[j].w;
      }
    }
  }
}

// sums[i][4 q + x] += sum over c of weights[ty * kM + i][c] * rows[c][tx * 4 + 64 q + x].
template <int kD, int kM, int kColumns>
__device__ inline void add_weighted_rows(float (&sums)[kM][kD / kSide], const float* weights,
                                         const float* rows, int ty, int tx) {
#pragma unroll 1
  for (int c = 0; c < kColumns; c += 4) {
    float weight[kM][4];
#pragma unroll
    for (int i = 0; i < kM; ++i) {
      const float4 four = four_at(weights + (ty * kM + i) * (kColumns + 4) + c);
      weight[i][0] = four.x;
      weight[i][1] = four.y;
      weight[i][2] = four.z;
      weight[i][3] = four.w;
    }
#pragma unroll
    for (int y = 0; y < 4; ++y) {
#pragma unroll
      for (int q = 0; q < kD / 64; ++q) {
        const float4 row = four_at(rows + (c + y) * (kD + 4) + tx * 4 + 64 * q);
#pragma unroll
        for (int i = 0; i < kM; ++i) {
          sums[i][4 * q] += weight[i][y] * row.x;
          sums[i][4 * q + 1] += weight[i][y] * row.y;
          sums[i][4 * q + 2] += weight[i][y] * row.z;
          sums[i][4 * q + 3] += weight[i][y] * row.w;
        }
      }
    }
  }
}

#endif

}  // namespace slotwise::kernels::cuda
