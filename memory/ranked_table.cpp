#include "memory/ranked_table.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/slot_statistics.h"

namespace slotwise {
namespace {

constexpr const char* kName = "background";

double weight(const RankingOptions& options, double batches, double df) {
  switch (options.rule) {
    case ScoreRule::tf_idf:
      return std::log((batches + 1) / (df + 1));
    case ScoreRule::idf_power:
      return std::pow(std::log((batches + 1) / (df + 1)), options.power);
    case ScoreRule::df:
      return 1 / (df + 1);
    case ScoreRule::kl:
      break;
  }
  fail("[ranked_table] kl has no table of weights");
}

}  // namespace

std::vector<float> weight_table(const RankingOptions& options, std::int64_t batches) {
  std::vector<float> table;
  for (std::int64_t df = 0; df <= batches; ++df) {
    table.push_back(
        static_cast<float>(weight(options, static_cast<double>(batches), static_cast<double>(df))));
  }
  return table;
}

Tensor count_scores(const AccessCounter& counter, const AccessCounter::List& touched) {
  Tensor scores =
      Tensor::empty(touched.slots.shape(), DType::f32, touched.slots.device(), "slot scores");
  kernels::score_slots({.scores = scores,
                        .touched = touched.slots,
                        .counts = counter.counts(),
                        .touched_count = touched.count});
  return scores;
}

RankedTable::RankedTable(const TableBackground& background, const RankingOptions& options,
                         Device device)
    : options_(options),
      df_(background.df.to(device, kName).clone(kName)),
      batches_(background.batches) {
  make_weights();
  take_over(background.batches);
}

void RankedTable::restore(const Tensor& df, std::int64_t most_df) {
  df_.copy_from(df);
  take_over(most_df);
}

void RankedTable::take_over(std::int64_t most_df) {
  most_df_ = most_df;
  if (host_ranks()) {
    host_df_ = df_.to_vector<std::int32_t>();
    smoothed_sum_ =
        std::accumulate(host_df_.begin(), host_df_.end(), static_cast<std::int64_t>(df_.size(0)));
  }
}

void RankedTable::make_weights() {
  if (options_.rule == ScoreRule::kl) return;
  weights_ = weight_table(options_, batches_);
  device_weights_ =
      Tensor::from(weights_, {static_cast<std::int64_t>(weights_.size())}, df_.device(), kName);
}

Tensor RankedTable::scores(const AccessCounter& counter, const AccessCounter::List& touched) const {
  if (options_.rule != ScoreRule::kl) {
    Tensor out =
        Tensor::empty(touched.slots.shape(), DType::f32, touched.slots.device(), "slot scores");
    kernels::score_slots({.scores = out,
                          .touched = touched.slots,
                          .counts = counter.counts(),
                          .df = df_,
                          .idf = device_weights_,
                          .touched_count = touched.count});
    return out;
  }
  std::vector<float> scores = count_scores(counter, touched).to_vector<float>();
  const double total = std::accumulate(scores.begin(), scores.end(), 0.0);
  const std::vector<std::int32_t> slots = touched.slots.to_vector<std::int32_t>();
  for (std::size_t a = 0; a < slots.size(); ++a) {
    scores[a] =
        score(slots[a], static_cast<std::int64_t>(scores[a]), static_cast<std::int64_t>(total));
  }
  return Tensor::from(scores, touched.slots.shape(), touched.slots.device(), "slot scores");
}

float RankedTable::score(std::int32_t slot, std::int64_t count, std::int64_t total) const {
  const std::int32_t df = host_df_[static_cast<std::size_t>(slot)];
  if (options_.rule != ScoreRule::kl) {
    return static_cast<float>(count) *
           weights_[std::min(static_cast<std::size_t>(df), weights_.size() - 1)];
  }
  const double p = static_cast<double>(count) / static_cast<double>(total);
  const double q = static_cast<double>(df + 1) / static_cast<double>(smoothed_sum_);
  return static_cast<float>(p * std::log(p / q));
}

void RankedTable::add_written(const Tensor& rows, std::int64_t weight) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  if (most_df_ > kMost - 1 - weight) {
    user_error(
        "the background counts {} batches after adding {} for each step; lower the weight of "
        "written rows",
        most_df_, weight);
  }
  kernels::add_document({.df = df_, .slots = rows, .weight = static_cast<std::int32_t>(weight)});
  if (!host_df_.empty()) {
    for (const std::int32_t row : rows.to_vector<std::int32_t>()) {
      host_df_[static_cast<std::size_t>(row)] += static_cast<std::int32_t>(weight);
      smoothed_sum_ += weight;
    }
  }
  most_df_ += weight;
}

}  // namespace slotwise
