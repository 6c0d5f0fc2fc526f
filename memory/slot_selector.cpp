#include "memory/slot_selector.h"

#include <algorithm>

#include "core/random.h"
#include "kernels/slot_statistics.h"
#include "memory/ranked_table.h"
#include "memory/sequence_ranks.h"

namespace slotwise {
namespace {

// To the last slot, which the host waits for.
AccessCounter::List exact_list(const AccessCounter& counter) {
  return {counter.touched(), {}};
}

// The best `count` of a list; -1 behind them where a list on a device turns out shorter.
Tensor top(const AccessCounter::List& touched, const Tensor& scores, std::int64_t count) {
  const std::int64_t room = touched.slots.size(0);
  Tensor selected =
      Tensor::empty({std::min(count, room)}, DType::i32, touched.slots.device(), "selected slots");
  kernels::top_slots({.selected = selected,
                      .touched = touched.slots,
                      .scores = scores,
                      .touched_count = touched.count});
  return selected;
}

class BackgroundSelector final : public SlotSelector {
 public:
  BackgroundSelector(const std::vector<TableBackground>& background, const RankingOptions& options,
                     Device device)
      : options_(options), sequences_(background.size()) {
    for (const TableBackground& table : background) tables_.emplace_back(table, options, device);
  }

  void observe(const Access& access) override {
    if (options_.per_sequence) sequences_[static_cast<std::size_t>(access.table)].add(access);
  }

  void share(Communicator& group) override {
    if (!options_.per_sequence) return;
    for (SequenceRanks& sequences : sequences_) sequences.share(group);
  }

  Tensor select(int table, const AccessCounter& counter, std::int64_t count,
                std::int64_t) override {
    const auto t = static_cast<std::size_t>(table);
    // What the host ranks or writes down it must know to the last slot.
    const bool exact = tables_[t].host_ranks() || options_.written_weight > 0;
    const AccessCounter::List touched = exact ? exact_list(counter) : counter.list();
    const Tensor scores = tables_[t].scores(counter, touched);
    return options_.per_sequence ? sequences_[t].take(tables_[t], touched.slots, scores, count)
                                 : top(touched, scores, count);
  }

  void written(int table, const Tensor& rows) override {
    if (options_.written_weight == 0) return;
    tables_[static_cast<std::size_t>(table)].add_written(rows, options_.written_weight);
  }

  std::vector<NamedTensor> state() const override {
    std::vector<NamedTensor> out;
    if (options_.written_weight == 0) return out;
    for (std::size_t t = 0; t < tables_.size(); ++t) {
      out.push_back({df_name(t), tables_[t].df()});
      out.push_back({most_df_name(t), Tensor::from<std::int64_t>({tables_[t].most_df()}, {1})});
    }
    return out;
  }

  void load_state(const TensorFile& file) override {
    if (options_.written_weight == 0) return;
    for (std::size_t t = 0; t < tables_.size(); ++t) {
      tables_[t].restore(file.require(df_name(t)),
                         file.require(most_df_name(t)).to_vector<std::int64_t>().at(0));
    }
  }

 private:
  static std::string df_name(std::size_t table) { return fmt::format("background.{}.df", table); }
  static std::string most_df_name(std::size_t table) {
    return fmt::format("background.{}.most_df", table);
  }

  RankingOptions options_;
  std::vector<RankedTable> tables_;
  std::vector<SequenceRanks> sequences_;
};

class TfSelector final : public SlotSelector {
 public:
  Tensor select(int, const AccessCounter& counter, std::int64_t count, std::int64_t) override {
    const AccessCounter::List touched = counter.list();
    return top(touched, count_scores(counter, touched), count);
  }
};

class RandomSelector final : public SlotSelector {
 public:
  explicit RandomSelector(std::uint64_t seed) : seed_(seed) {}

  // A slot's score depends on seed, step and slot alone, so neither order nor device matters.
  Tensor select(int table, const AccessCounter& counter, std::int64_t count,
                std::int64_t step) override {
    const AccessCounter::List touched = exact_list(counter);
    const Random random(seed_, fmt::format("random slots/{}/{}", table, step));
    std::vector<float> scores;
    for (const std::int32_t slot : touched.slots.to_vector<std::int32_t>()) {
      scores.push_back(random.uniform_at(static_cast<std::uint64_t>(slot)));
    }
    const Tensor& slots = touched.slots;
    return top(touched, Tensor::from(scores, slots.shape(), slots.device(), "slot scores"), count);
  }

 private:
  std::uint64_t seed_;
};

class AllSelector final : public SlotSelector {
 public:
  // The room of a list may be the whole table, and what is selected gets a gradient and a state.
  Tensor select(int, const AccessCounter& counter, std::int64_t, std::int64_t) override {
    const AccessCounter::List touched = exact_list(counter);
    return top(touched, count_scores(counter, touched), touched.slots.size(0));
  }
};

}  // namespace

std::unique_ptr<SlotSelector> background_selector(const std::vector<TableBackground>& background,
                                                  const RankingOptions& options, Device device) {
  SLOTWISE_CHECK(options.written_weight >= 0 && options.power > 0,
                 "[slot_selector] expected a weight of at least 0 and a power above 0, got {} "
                 "and {}",
                 options.written_weight, options.power);
  return std::make_unique<BackgroundSelector>(background, options, device);
}
std::unique_ptr<SlotSelector> tf_idf_selector(const std::vector<TableBackground>& background,
                                              Device device) {
  return background_selector(background, {}, device);
}
std::unique_ptr<SlotSelector> tf_selector() {
  return std::make_unique<TfSelector>();
}
std::unique_ptr<SlotSelector> random_selector(std::uint64_t seed) {
  return std::make_unique<RandomSelector>(seed);
}
std::unique_ptr<SlotSelector> all_selector() {
  return std::make_unique<AllSelector>();
}

}  // namespace slotwise
