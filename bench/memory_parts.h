// The parts of the memory layer's path that bench/memory_path.h times, each with the bytes and
// FLOPs that it cannot do without. A part is prepared when its turn comes.
#pragma once

#include <functional>
#include <vector>

#include "bench/memory_path_data.h"

namespace slotwise::bench {

struct Prepared {
  double bytes = 0, flops = 0;
  std::function<void()> body;
};

struct TableSize {
  std::int64_t N = 0, D = 0;
};

// On the rows of the table.
struct RowPart {
  const char* name;
  int tables;     // how many tensors as large as the table it needs
  bool by_width;  // does D matter
  Prepared (*prepare)(PathData& data, const AccessData& accesses, TableSize size);
};
const std::vector<RowPart>& row_parts();

// From the query to slots and weights, for N slots.
struct ScorePart {
  const char* name;
  bool half_scores;  // those of all tokens are in memory
  Prepared (*prepare)(const PathShape& shape, std::int64_t N);
};
const std::vector<ScorePart>& score_parts();

// Of the step that changes some rows.
struct SparsePart {
  const char* name;
  bool by_width;
  Prepared (*prepare)(PathData& data, TableSize size);
};
const std::vector<SparsePart>& sparse_parts();

}  // namespace slotwise::bench
