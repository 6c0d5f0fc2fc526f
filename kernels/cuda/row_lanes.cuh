// Rows of D floats or bf16 read in pieces of up to 16 bytes a thread, and the shape of blocks that
// work on rows: `lanes` threads share one row, the groups of a block take different rows.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "core/bfloat16.h"
#include "kernels/cuda/launch.h"

namespace slotwise::kernels::cuda {

template <class Value>
constexpr int kWide = 16 / static_cast<int>(sizeof(Value));  // elements of one 16-byte load

// Rows can be read kWide elements at a time: 16-byte alignment of the first row carries over to
// all.
template <class Value, class... Pointers>
bool rows_are_wide(std::int64_t D, const Pointers*... pointers) {
  return D % kWide<Value> == 0 && aligned_to_16(pointers...);
}

struct RowBlock {
  dim3 threads;  // x: lanes of a row, y: groups
  unsigned column_blocks;

  RowBlock(std::int64_t D, int width) {
    const std::int64_t pieces = std::max<std::int64_t>((D + width - 1) / width, 1);
    const auto lanes = static_cast<unsigned>(
        std::bit_ceil(static_cast<std::uint64_t>(std::clamp<std::int64_t>(pieces, 32, kBlock))));
    threads = dim3(lanes, kBlock / lanes);
    column_blocks = static_cast<unsigned>((pieces + lanes - 1) / lanes);
  }
};

template <int kWidth>
__device__ inline void load_lanes(const float* from, float (&to)[kWidth]) {
  if constexpr (kWidth == 1) {
    to[0] = *from;
  } else {
    static_assert(kWidth % 4 == 0);
#pragma unroll
    for (int i = 0; i < kWidth; i += 4) {
      const float4 four = *reinterpret_cast<const float4*>(from + i);
      to[i] = four.x;
      to[i + 1] = four.y;
      to[i + 2] = four.z;
      to[i + 3] = four.w;
    }
  }
}

template <int kWidth>
__device__ inline void load_lanes(const BFloat16* from, float (&to)[kWidth]) {
  if constexpr (kWidth == 1) {
    to[0] = __uint_as_float(static_cast<std::uint32_t>(from->bits) << 16);
  } else {
    static_assert(kWidth == 8);
    const uint4 eight = *reinterpret_cast<const uint4*>(from);
    const std::uint32_t words[4] = {eight.x, eight.y, eight.z, eight.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {  // little endian: the lower half is the earlier element
      to[2 * i] = __uint_as_float(words[i] << 16);
      to[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
    }
  }
}

template <int kWidth>
__device__ inline void store_lanes(float* to, const float (&from)[kWidth]) {
  if constexpr (kWidth == 1) {
    *to = from[0];
  } else {
#pragma unroll
    for (int i = 0; i < kWidth; i += 4) {
      *reinterpret_cast<float4*>(to + i) =
          make_float4(from[i], from[i + 1], from[i + 2], from[i + 3]);
    }
  }
}

}  // namespace slotwise::kernels::cuda
