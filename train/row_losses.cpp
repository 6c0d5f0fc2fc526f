#include "train/row_losses.h"

#include "core/error.h"
#include "train/evaluation_progress.h"

namespace slotwise {

ScoredRow scored_row(const EncodedPair& pair) {
  ScoredRow row{pair.context, pair.context.size()};
  row.tokens.insert(row.tokens.end(), pair.continuation.begin(), pair.continuation.end());
  return row;
}

bool fit_row(ScoredRow& row, std::int64_t positions) {
  const std::size_t most = static_cast<std::size_t>(positions) + 1;
  if (row.first < 1 || row.first >= row.tokens.size()) return false;
  if (row.tokens.size() <= most) return true;
  const std::size_t cut = row.tokens.size() - most;
  if (row.first < cut + 1) return false;
  row.tokens.erase(row.tokens.begin(), row.tokens.begin() + static_cast<std::ptrdiff_t>(cut));
  row.first -= cut;
  return true;
}

std::vector<RowRange> row_ranges(const std::vector<ScoredRow>& rows) {
  constexpr std::size_t kMostTokens = 8192;  // of one forward: more is not faster
  std::vector<RowRange> out;
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    tokens += rows[i].tokens.size();
    if (out.empty() || tokens > kMostTokens) {
      out.emplace_back(i, i);
      tokens = rows[i].tokens.size();
    }
    out.back().second = i + 1;
  }
  return out;
}

ModelBatch scored_batch(const std::vector<ScoredRow>& rows, RowRange range, Device device) {
  TokenRows tokens;
  for (std::size_t i = range.first; i < range.second; ++i) tokens.push_back(rows[i].tokens);
  const TokenBatch batch = make_batch(tokens, 0);
  const auto width = static_cast<std::size_t>(batch.targets.size(1));
  const auto targets = batch.targets.span<std::int32_t>();
  for (std::size_t row = 0; row < tokens.size(); ++row) {
    for (std::size_t t = 0; t + 1 < rows[range.first + row].first; ++t) {
      targets[row * width + t] = -1;
    }
  }
  return make_model_batch(batch, device);
}

std::vector<std::vector<float>> row_losses(MemoryModel& model, const std::vector<ScoredRow>& rows,
                                           const std::string& what, bool quiet) {
  const NoGrad no_grad;
  const std::vector<RowRange> ranges = row_ranges(rows);
  EvaluationProgress progress(what, static_cast<std::int64_t>(ranges.size()), quiet);
  std::vector<std::vector<float>> out;
  for (const RowRange& range : ranges) {
    const ModelBatch batch = scored_batch(rows, range, model.device());
    const Tensor hidden = model.decoder().hidden(batch.tokens, batch.context).value();
    const auto losses =
        token_losses(hidden, model.decoder().head().value(), batch.targets).to_vector<float>();
    auto next = losses.begin();
    for (std::size_t i = range.first; i < range.second; ++i) {
      const auto count = static_cast<std::ptrdiff_t>(rows[i].tokens.size() - rows[i].first);
      out.emplace_back(next, next + count);
      next += count;
    }
    SLOTWISE_CHECK(next == losses.end(), "[row_losses] {} losses for {} rows", losses.size(),
                   range.second - range.first);
    progress.batch_done(batch.tokens.elements());
  }
  return out;
}

}  // namespace slotwise
