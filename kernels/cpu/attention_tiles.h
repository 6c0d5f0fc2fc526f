// What the forward and the backward of attention share: the problem's sizes, which keys a query
// sees, and the packing of rows into contiguous tiles. Tile sizes are chosen so that the tiles of
// one step fit a 256 KB cache at D = 128.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/error.h"
#include "core/tensor.h"
#include "kernels/cpu/tile_product.h"

namespace slotwise::kernels::cpu {

constexpr std::int64_t kQueryBlock = 64;
constexpr std::int64_t kKeyTile = 64;

struct AttentionProblem {
  std::int64_t batch;                // rows
  std::int64_t queries, keys;        // of the longest row
  std::int64_t heads, groups, size;  // size: D
  std::int64_t wide;                 // D, padded to whole vectors
  std::int64_t query_stride;         // between tokens of q, out
  std::int64_t key_stride;           // between tokens of k, v
  const std::int32_t* query_start;
  const std::int32_t* key_length;
  const std::int32_t* offsets;  // of packed rows, or null
  bool causal;
  float scale;

  template <class Args>
  explicit AttentionProblem(const Args& args)
      : batch(args.offsets.defined() ? args.offsets.size(0) - 1 : args.q.size(0)),
        queries(args.offsets.defined() ? args.longest : args.q.size(1)),
        keys(args.offsets.defined() ? args.longest : args.k.size(1)),
        heads(args.q.size(2)),
        groups(args.k.size(2)),
        size(args.q.size(3)),
        wide(padded(size)),
        query_stride(heads * size),
        key_stride(groups * size),
        query_start(args.query_start.defined() ? args.query_start.template data<std::int32_t>()
                                               : nullptr),
        key_length(args.key_length.defined() ? args.key_length.template data<std::int32_t>()
                                             : nullptr),
        offsets(args.offsets.defined() ? args.offsets.template data<std::int32_t>() : nullptr),
        causal(args.causal),
        scale(args.scale) {
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

  // First token and length of row b.
  std::int64_t first_query(std::int64_t b) const { return offsets ? offsets[b] : b * queries; }
  std::int64_t first_key(std::int64_t b) const { return offsets ? offsets[b] : b * keys; }
  std::int64_t queries_of(std::int64_t b) const {
    return offsets ? offsets[b + 1] - offsets[b] : queries;
  }
  std::int64_t keys_of(std::int64_t b) const {
    return offsets ? offsets[b + 1] - offsets[b] : keys;
  }

  // Query t of row b sees the keys [0, limit).
  std::int64_t limit(std::int64_t b, std::int64_t t) const {
    std::int64_t seen = keys_of(b);
    if (key_length != nullptr) seen = std::min<std::int64_t>(seen, key_length[b]);
    if (causal) seen = std::min(seen, (query_start == nullptr ? 0 : query_start[b]) + t + 1);
    return std::max<std::int64_t>(seen, 0);
  }
  std::int64_t heads_per_group() const { return heads / groups; }
  std::int64_t query_at(std::int64_t b, std::int64_t t, std::int64_t head) const {
    return (first_query(b) + t) * query_stride + head * size;
  }
  std::int64_t key_at(std::int64_t b, std::int64_t t, std::int64_t group) const {
    return (first_key(b) + t) * key_stride + group * size;
  }
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
