// The background of one value table and the scores that a rule makes of it. All rules but kl are
// one fp32 product of the count and an entry of a table over df = 0 .. |B| that the host makes in
// double precision, so that every device ranks alike; kl is no such product (its weight depends on
// the count too) and is computed on the host, over the accessed slots only.
#pragma once

#include "memory/slot_selector.h"

namespace slotwise {

// The factor of the count by rule, for df = 0 .. batches; beyond |B| = batches it is that of |B|.
// Not for kl.
std::vector<float> weight_table(const RankingOptions& options, std::int64_t batches);

// [A] f32: how often the batch read each touched slot.
Tensor count_scores(const AccessCounter& counter, const AccessCounter::List& touched);

class RankedTable {
 public:
  // Copies df: a dynamic background changes it.
  RankedTable(const TableBackground& background, const RankingOptions& options, Device device);

  // [A] f32. Where host_ranks(), the list must be exact: counter.touched().
  Tensor scores(const AccessCounter& counter, const AccessCounter::List& touched) const;
  bool host_ranks() const { return options_.rule == ScoreRule::kl || options_.per_sequence; }
  // Of one slot with `count` of `total` accesses: the same bits as scores().
  float score(std::int32_t slot, std::int64_t count, std::int64_t total) const;

  // Adds to the df of these rows. |B| stays as it is: were it to grow, slots that every background
  // batch reads would get a weight above zero, and general text would lose its protection.
  void add_written(const Tensor& rows, std::int64_t weight);
  const Tensor& df() const { return df_; }
  std::int64_t most_df() const { return most_df_; }  // no slot has more
  void restore(const Tensor& df, std::int64_t most_df);

 private:
  void take_over(std::int64_t most_df);
  void make_weights();

  RankingOptions options_;
  Tensor df_;                          // [N] i32 on the device
  std::vector<std::int32_t> host_df_;  // the same where the host ranks, else empty
  std::int64_t batches_ = 0;           // |B|
  std::int64_t most_df_ = 0;
  std::int64_t smoothed_sum_ = 0;  // sum of df + 1 over all slots: the denominator of kl's q
  std::vector<float> weights_;
  Tensor device_weights_;
};

}  // namespace slotwise
