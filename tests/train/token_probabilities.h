// The reference for everything that is measured by likelihood: one row alone, its logits from the
// hidden states in double precision.
#pragma once

#include <cmath>
#include <vector>

#include "memory/memory_model.h"

namespace slotwise::testing {

// [tokens - 1][V]: ln of the probability of each next token.
inline std::vector<std::vector<double>> log_probabilities(MemoryModel& model,
                                                          const std::vector<std::int32_t>& row) {
  const NoGrad no_grad;
  const auto length = static_cast<std::int64_t>(row.size());
  const Tensor tokens = Tensor::from(row, {1, length});
  const Tensor hidden = model.decoder().hidden(tokens, make_context(tokens, {}, {})).value();
  const Tensor& head = model.decoder().head().value();
  const std::int64_t width = head.size(1);
  std::vector<std::vector<double>> out;
  for (std::int64_t t = 0; t + 1 < length; ++t) {
    std::vector<double> logits;
    double sum = 0;
    for (std::int64_t v = 0; v < head.size(0); ++v) {
      double logit = 0;
      for (std::int64_t i = 0; i < width; ++i) {
        logit += static_cast<double>(hidden.data<float>()[t * width + i]) *
                 static_cast<double>(head.data<float>()[v * width + i]);
      }
      logits.push_back(logit);
      sum += std::exp(logit);
    }
    for (double& logit : logits) logit -= std::log(sum);
    out.push_back(logits);
  }
  return out;
}

// Sum over row[first..], at least the second token.
inline double log_likelihood(MemoryModel& model, const std::vector<std::int32_t>& row,
                             std::size_t first) {
  const auto all = log_probabilities(model, row);
  double sum = 0;
  for (std::size_t t = first; t < row.size(); ++t) {
    sum += all[t - 1][static_cast<std::size_t>(row[t])];
  }
  return sum;
}

}  // namespace slotwise::testing
