// What the forward and the backward of attention share: the problem and the packing of rows into
// contiguous tiles. Tile sizes are chosen so that the tiles of one step fit a 256 KB cache at
// D = 128.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/error.h"
#include "kernels/attention_rows.h"
#include "kernels/cpu/tile_product.h"

namespace slotwise::kernels::cpu {

constexpr std::int64_t kQueryBlock = 64;
constexpr std::int64_t kKeyTile = 64;

struct AttentionProblem : AttentionRows {
  std::int64_t wide;  // D, padded to whole vectors

  template <class Args>
  explicit AttentionProblem(const Args& args) : AttentionRows(args), wide(padded(size)) {
    if (offsets != nullptr) check_offsets(args.q.size(1));
  }

  void check_offsets(std::int64_t tokens) const {
    bool good = offsets[0] == 0 && offsets[batch] == tokens;
    for (std::int64_t b = 0; b < batch; ++b) {
      const std::int64_t length = std::int64_t{offsets[b + 1]} - offsets[b];
      good = good && length >= 0 && length <= queries;
    }
    SLOTWISE_CHECK(good, "[attention] expected offsets that ascend from 0 to {} by at most {}",
                   tokens, queries);
  }

  std::int64_t heads_per_group() const { return heads / groups; }
  // Threads take (batch, group) pairs, so every gradient of a key has one owner; this many at
  // least.
  std::int64_t grain() const {
    const std::int64_t work = heads_per_group() * queries * keys * size;
    return 1 + 250000 / std::max<std::int64_t>(work, 1);
  }
};

inline Lanes load(const float* from) {
  return *reinterpret_cast<const Lanes*>(from);
}
inline void store(float* to, const Lanes& value) {
  *reinterpret_cast<Lanes*>(to) = value;
}

// Rows are short: a call of memcpy would cost more than the copy.
inline void copy_row(float* to, const float* from, std::int64_t size) {
  std::int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) store(to + i, load(from + i));
  for (; i < size; ++i) to[i] = from[i];
}

// rows of `size` at distance `stride` -> [rows, wide], the padding 0.
inline void pack_rows(float* to, std::int64_t wide, const float* from, std::int64_t stride,
                      std::int64_t rows, std::int64_t size) {
  for (std::int64_t row = 0; row < rows; ++row, to += wide, from += stride) {
    copy_row(to, from, size);
    for (std::int64_t i = size; i < wide; ++i) to[i] = 0.0f;
  }
}

// [rows, wide] -> rows of `size` at distance `stride`.
inline void unpack_rows(float* to, std::int64_t stride, const float* from, std::int64_t wide,
                        std::int64_t rows, std::int64_t size) {
  for (std::int64_t row = 0; row < rows; ++row, to += stride, from += wide) {
    copy_row(to, from, size);
  }
}

// The 8 x 8 matrix of eight rows, in place: pairs, then quads, then halves change sides.
inline void transpose(Lanes (&rows)[kLanes]) {
  Lanes quads[kLanes];
  for (int i = 0; i < kLanes; i += 4) {
    const Lanes low0 = __builtin_shufflevector(rows[i], rows[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    const Lanes high0 = __builtin_shufflevector(rows[i], rows[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    const Lanes low1 = __builtin_shufflevector(rows[i + 2], rows[i + 3], 0, 8, 1, 9, 4, 12, 5, 13);
    const Lanes high1 =
        __builtin_shufflevector(rows[i + 2], rows[i + 3], 2, 10, 3, 11, 6, 14, 7, 15);
    quads[i] = __builtin_shufflevector(low0, low1, 0, 1, 8, 9, 4, 5, 12, 13);
    quads[i + 1] = __builtin_shufflevector(low0, low1, 2, 3, 10, 11, 6, 7, 14, 15);
    quads[i + 2] = __builtin_shufflevector(high0, high1, 0, 1, 8, 9, 4, 5, 12, 13);
    quads[i + 3] = __builtin_shufflevector(high0, high1, 2, 3, 10, 11, 6, 7, 14, 15);
  }
  for (int i = 0; i < 4; ++i) {
    rows[i] = __builtin_shufflevector(quads[i], quads[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    rows[i + 4] = __builtin_shufflevector(quads[i], quads[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

// rows of `size` at distance `stride` -> [size, padded(rows)] times factor, the padding 0.
inline void pack_transposed(float* to, const float* from, std::int64_t stride, std::int64_t rows,
                            std::int64_t size, float factor) {
  const std::int64_t width = padded(rows);
  for (std::int64_t first = 0; first < width; first += kLanes, from += kLanes * stride) {
    const std::int64_t count = std::min(kLanes, rows - first);
    std::int64_t i = 0;
    for (; i + kLanes <= size; i += kLanes) {
      Lanes block[kLanes];
      if (count == kLanes) {
        for (int row = 0; row < kLanes; ++row) block[row] = load(from + row * stride + i);
      } else {
        for (std::int64_t row = 0; row < kLanes; ++row) {
          block[row] = row < count ? load(from + row * stride + i) : Lanes{};
        }
      }
      transpose(block);
      for (int j = 0; j < kLanes; ++j) store(to + (i + j) * width + first, block[j] * factor);
    }
    for (; i < size; ++i) {
      for (std::int64_t row = 0; row < kLanes; ++row) {
        to[i * width + first + row] = row < count ? from[row * stride + i] * factor : 0.0f;
      }
    }
  }
}

}  // namespace slotwise::kernels::cpu
