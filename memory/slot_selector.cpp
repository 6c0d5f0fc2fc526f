#include "memory/slot_selector.h"

#include <algorithm>
#include <cmath>

#include "core/random.h"
#include "kernels/slot_statistics.h"

namespace slotwise {
namespace {

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

// c * idf, with idf = 1 where there is no background.
Tensor count_scores(const AccessCounter& counter, const AccessCounter::List& touched,
                    const Tensor& df, const Tensor& idf) {
  Tensor scores =
      Tensor::empty(touched.slots.shape(), DType::f32, touched.slots.device(), "slot scores");
  kernels::score_slots({.scores = scores,
                        .touched = touched.slots,
                        .counts = counter.counts(),
                        .df = df,
                        .idf = idf,
                        .touched_count = touched.count});
  return scores;
}

class TfIdfSelector final : public SlotSelector {
 public:
  TfIdfSelector(const std::vector<TableBackground>& background, Device device) {
    for (const TableBackground& table : background) {
      df_.push_back(table.df.to(device, "background"));
      idf_.push_back(
          Tensor::from(idf_table(table.batches), {table.batches + 1}, device, "background"));
    }
  }

  Tensor select(int table, const AccessCounter& counter, std::int64_t count,
                std::int64_t) const override {
    const auto t = static_cast<std::size_t>(table);
    const AccessCounter::List touched = counter.list();
    return top(touched, count_scores(counter, touched, df_[t], idf_[t]), count);
  }

 private:
  std::vector<Tensor> df_, idf_;
};

class TfSelector final : public SlotSelector {
 public:
  Tensor select(int, const AccessCounter& counter, std::int64_t count,
                std::int64_t) const override {
    const AccessCounter::List touched = counter.list();
    return top(touched, count_scores(counter, touched, {}, {}), count);
  }
};

class RandomSelector final : public SlotSelector {
 public:
  explicit RandomSelector(std::uint64_t seed) : seed_(seed) {}

  // A slot's score depends on seed, step and slot alone, so neither order nor device matters.
  Tensor select(int table, const AccessCounter& counter, std::int64_t count,
                std::int64_t step) const override {
    const AccessCounter::List touched = counter.list();
    const Random random(seed_, fmt::format("random slots/{}/{}", table, step));
    std::vector<float> scores;
    // On a device the list may hold anything behind its slots: numbers that top() does not read.
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
  Tensor select(int, const AccessCounter& counter, std::int64_t, std::int64_t) const override {
    const AccessCounter::List touched = counter.list();
    return top(touched, count_scores(counter, touched, {}, {}), touched.slots.size(0));
  }
};

}  // namespace

std::vector<float> idf_table(std::int64_t batches) {
  std::vector<float> table;
  for (std::int64_t df = 0; df <= batches; ++df) {
    table.push_back(static_cast<float>(
        std::log(static_cast<double>(batches + 1) / static_cast<double>(df + 1))));
  }
  return table;
}

std::unique_ptr<SlotSelector> tf_idf_selector(const std::vector<TableBackground>& background,
                                              Device device) {
  return std::make_unique<TfIdfSelector>(background, device);
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
