// Losses of chosen tokens in many rows of different lengths. Rows are packed one after another, so
// that no work is done for padding, and only the tokens that count meet the output head.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "memory/memory_model.h"
#include "train/model_batch.h"
#include "train/prompt.h"

namespace slotwise {

struct ScoredRow {
  std::vector<std::int32_t> tokens;  // at most the model's positions + 1: the last is no input
  std::size_t first = 1;             // from here on tokens count; at least 1, below their number
};

// Context and continuation in one row, of which the continuation counts.
ScoredRow scored_row(const EncodedPair& pair);

// Cut from the left to what the model takes. The tokens that count stay whole; false where they
// alone are too many, or where there are none: the row is left as it was.
bool fit_row(ScoredRow& row, std::int64_t positions);

// Neighbouring rows [begin, end) that one forward takes.
using RowRange = std::pair<std::size_t, std::size_t>;
std::vector<RowRange> row_ranges(const std::vector<ScoredRow>& rows);
ModelBatch scored_batch(const std::vector<ScoredRow>& rows, RowRange range, Device device);

// Nats of each token that counts, row by row. `what` and `quiet`: of the progress line. Throws
// Interrupted.
std::vector<std::vector<float>> row_losses(MemoryModel& model, const std::vector<ScoredRow>& rows,
                                           const std::string& what, bool quiet);

}  // namespace slotwise
