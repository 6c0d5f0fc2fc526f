// What the parts of the memory layer's path work on, made when a part needs it and kept for the
// next one of the same size. M tokens, H heads, k reads a head, J = H * k, N = n^2 slots, D columns
// of a row, h half a key.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "memory/access_trace.h"

namespace slotwise::bench {

enum class Reads { uniform, zipf, recorded };
const char* name_of(Reads reads);

struct PathShape {
  Device device;
  std::int64_t tokens = 0, heads = 4, top_k = 32, half_key = 256;
  std::int64_t chosen = 500;  // rows of a sparse step
  std::int64_t reads() const { return heads * top_k; }
  std::int64_t accesses() const { return tokens * reads(); }
};

// Slots of the accesses [M, J], how many of them are distinct, and marks of those.
struct AccessData {
  Tensor slots;    // i32
  Tensor touched;  // [N] u8
  std::int64_t distinct = 0;
};

// All tensors as large as the table.
struct TableData {
  std::int64_t N = 0, D = 0;
  Tensor values, gradient, first_moment, second_moment;
};

// A sparse step over reads that fall on so many slots in every table: nothing in it may depend on N
// but the addresses.
constexpr std::int64_t kReadSlots = 1 << 14;
struct SparseStepData {
  Tensor slots, weights, dy;
  Tensor counts, touched, touched_count;
  Tensor scores, df, idf, selected, row_of_slot;
  Tensor gradient, first_moment, second_moment, steps, state_row;
};

class PathData {
 public:
  PathData(const PathShape& shape, std::optional<AccessTrace> trace);

  const PathShape& shape() const { return shape_; }
  const AccessData& accesses(Reads reads, std::int64_t N);
  // The table of this size, with the tensors that were asked for before, and `values`.
  TableData& table(std::int64_t N, std::int64_t D);
  // A tensor of the table's size, made at the first call.
  const Tensor& need(TableData& table, Tensor TableData::*which, bool zero);
  Tensor weights() const;               // [M, J]
  Tensor tokens(std::int64_t D) const;  // [M, D]
  SparseStepData sparse_step(std::int64_t N, std::int64_t D) const;

 private:
  PathShape shape_;
  std::optional<AccessTrace> trace_;
  std::map<std::pair<Reads, std::int64_t>, AccessData> accesses_;
  TableData table_;
};

}  // namespace slotwise::bench
