// Which keys a query of attention sees, and where rows lie: the arithmetic that all bodies on both
// backends share. B batch rows or, packed, R rows in one; "row" below is either.
#pragma once

#include <cstdint>

#include "core/tensor.h"
#include "kernels/math.h"

namespace slotwise::kernels {

// [begin, end) of the keys of one batch row, counted as they lie in k.
struct KeyRange {
  std::int64_t begin, end;
};

struct AttentionRows {
  std::int64_t batch;                     // rows
  std::int64_t queries, keys;             // of the longest row
  std::int64_t heads, groups, size;       // size: D
  std::int64_t query_stride, key_stride;  // between tokens of q, out and of k, v
  const std::int32_t* query_start;        // or null
  const std::int32_t* key_length;         // or null
  const std::int32_t* offsets;            // of packed rows, or null
  bool causal;
  float scale;

  template <class Args>
  explicit AttentionRows(const Args& args)
      : batch(args.offsets.defined() ? args.offsets.size(0) - 1 : args.q.size(0)),
        queries(args.offsets.defined() ? args.longest : args.q.size(1)),
        keys(args.offsets.defined() ? args.longest : args.k.size(1)),
        heads(args.q.size(2)),
        groups(args.k.size(2)),
        size(args.q.size(3)),
        query_stride(heads * size),
        key_stride(groups * size),
        query_start(numbers(args.query_start)),
        key_length(numbers(args.key_length)),
        offsets(numbers(args.offsets)),
        causal(args.causal),
        scale(args.scale) {}

  // First token and length of row b.
  SLOTWISE_HD std::int64_t first_query(std::int64_t b) const {
    return offsets ? offsets[b] : b * queries;
  }
  SLOTWISE_HD std::int64_t first_key(std::int64_t b) const {
    return offsets ? offsets[b] : b * keys;
  }
  SLOTWISE_HD std::int64_t queries_of(std::int64_t b) const {
    return offsets ? offsets[b + 1] - offsets[b] : queries;
  }
  SLOTWISE_HD std::int64_t keys_of(std::int64_t b) const {
    return offsets ? offsets[b + 1] - offsets[b] : keys;
  }
  SLOTWISE_HD std::int64_t start_of(std::int64_t b) const {
    return query_start ? query_start[b] : 0;
  }

  // Query t of row b sees the row's keys [0, limit). Does not fall with t.
  SLOTWISE_HD std::int64_t limit(std::int64_t b, std::int64_t t) const {
    std::int64_t seen = keys_of(b);
    if (key_length != nullptr && key_length[b] < seen) seen = key_length[b];
    if (causal && start_of(b) + t + 1 < seen) seen = start_of(b) + t + 1;
    return seen > 0 ? seen : 0;
  }

  // What token t of batch row b of q sees. Packed rows are one batch row, in which t falls in the
  // last row that begins at or before it: empty rows begin where the next one does.
  SLOTWISE_HD KeyRange visible(std::int64_t b, std::int64_t t) const {
    if (offsets == nullptr) return {0, limit(b, t)};
    std::int64_t low = 0, high = batch;
    while (high - low > 1) {
      const std::int64_t middle = (low + high) / 2;
      (offsets[middle] <= t ? low : high) = middle;
    }
    return {offsets[low], offsets[low] + limit(low, t - offsets[low])};
  }

  // Elements before a token's head in q and out, a token's group in k and v.
  SLOTWISE_HD std::int64_t query_at(std::int64_t b, std::int64_t t, std::int64_t head) const {
    return (first_query(b) + t) * query_stride + head * size;
  }
  SLOTWISE_HD std::int64_t key_at(std::int64_t b, std::int64_t t, std::int64_t group) const {
    return (first_key(b) + t) * key_stride + group * size;
  }

 private:
  static const std::int32_t* numbers(const Tensor& tensor) {
    return tensor.defined() ? tensor.data<std::int32_t>() : nullptr;
  }
};

}  // namespace slotwise::kernels
