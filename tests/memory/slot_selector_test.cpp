// Counting accesses and choosing slots, against a plain reading of the rules.
#include "memory/slot_selector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "memory/ranked_table.h"
#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

using Slots = std::vector<std::int32_t>;

Tensor accesses(const Slots& slots, std::int64_t width) {
  return Tensor::from(slots, {static_cast<std::int64_t>(slots.size()) / width, width});
}

Slots sorted(Slots slots) {
  std::sort(slots.begin(), slots.end());
  return slots;
}

TEST(AccessCounter, CountsValidTokensOnly) {
  AccessCounter counter(10, {});
  counter.add(accesses({3, 3, 7, 1, 9, 9}, 2), Tensor::from<std::uint8_t>({1, 1, 0}, {3}));
  counter.add(accesses({7, 0}, 2), {});
  EXPECT_EQ(counter.counts().to_vector<std::int32_t>(), (Slots{1, 1, 0, 2, 0, 0, 0, 2, 0, 0}));
  EXPECT_EQ(counter.touched_count(), 4);
  EXPECT_EQ(counter.touched().to_vector<std::int32_t>(), (Slots{3, 7, 1, 0}));
  counter.clear();
  EXPECT_EQ(counter.touched_count(), 0);
  EXPECT_EQ(counter.counts().to_vector<std::int32_t>(), Slots(10, 0));
  counter.add(accesses({9, 3}, 1), {});
  EXPECT_EQ(counter.touched().to_vector<std::int32_t>(), (Slots{9, 3}));
  EXPECT_EQ(counter.counts().to_vector<std::int32_t>(), (Slots{0, 0, 0, 1, 0, 0, 0, 0, 0, 1}));
}

// The rule as a sort: higher score first, ties to the lower slot, `count` of them, ascending.
template <class Score>
Slots reference(const Slots& counts, std::size_t count, Score score) {
  Slots order;
  for (std::size_t s = 0; s < counts.size(); ++s) {
    if (counts[s] > 0) order.push_back(static_cast<std::int32_t>(s));
  }
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return score(static_cast<std::size_t>(a)) > score(static_cast<std::size_t>(b));
  });
  order.resize(std::min(order.size(), count));
  return sorted(order);
}

class SlotSelectorTest : public ::testing::Test {
 protected:
  static constexpr std::int64_t kSlots = 60, kBatches = 5;

  SlotSelectorTest() {
    // Few distinct counts and document frequencies, so ties abound.
    counter_.add(random_integers({45, 2}, 1, kSlots), {});
    counts_ = counter_.counts().to_vector<std::int32_t>();
    df_ = random_integers({kSlots}, 2, kBatches + 1);
  }

  Slots select(SlotSelector& selector, std::int64_t count, std::int64_t step = 0) const {
    return selector.select(0, counter_, count, step).to_vector<std::int32_t>();
  }
  double tf_idf(std::size_t slot) const {
    const double df = df_.data<std::int32_t>()[slot];
    return counts_[slot] * std::log((kBatches + 1.0) / (df + 1.0));
  }

  AccessCounter counter_{kSlots, {}};
  Slots counts_;
  Tensor df_;
};

TEST_F(SlotSelectorTest, TfIdf) {
  const auto selector = tf_idf_selector({{df_, kBatches}}, {});
  for (const std::int64_t count : {1, 2, 5, 13, 30, 59, 1000}) {
    EXPECT_EQ(select(*selector, count), reference(counts_, static_cast<std::size_t>(count),
                                                  [&](std::size_t s) { return tf_idf(s); }))
        << count;
  }
}

TEST_F(SlotSelectorTest, TfIdfReadsTheTableItIsAskedFor) {
  const Tensor even = Tensor::zeros({kSlots}, DType::i32);
  const auto selector = tf_idf_selector({{even, kBatches}, {df_, kBatches}}, {});
  const auto of_table = [&](int table) {
    return selector->select(table, counter_, 7, 0).to_vector<std::int32_t>();
  };
  EXPECT_EQ(of_table(1), reference(counts_, 7, [&](std::size_t s) { return tf_idf(s); }));
  EXPECT_EQ(of_table(0), reference(counts_, 7, [&](std::size_t s) { return counts_[s]; }));
  EXPECT_NE(of_table(0), of_table(1));
}

TEST_F(SlotSelectorTest, TermFrequencyAlone) {
  const auto selector = tf_selector();
  for (const std::int64_t count : {1, 4, 20, 1000}) {
    EXPECT_EQ(select(*selector, count), reference(counts_, static_cast<std::size_t>(count),
                                                  [&](std::size_t s) { return counts_[s]; }));
  }
}

TEST_F(SlotSelectorTest, AllTakesEveryAccessedSlot) {
  const Slots all = sorted(counter_.touched().to_vector<std::int32_t>());
  EXPECT_EQ(select(*all_selector(), 3), all);
  EXPECT_LT(all.size(), static_cast<std::size_t>(kSlots));
}

TEST_F(SlotSelectorTest, RandomIsReproducibleAndKeepsToAccessedSlots) {
  const auto selector = random_selector(8);
  const Slots first = select(*selector, 10);
  EXPECT_EQ(first.size(), 10u);
  EXPECT_EQ(first, sorted(first));
  EXPECT_EQ(std::set<std::int32_t>(first.begin(), first.end()).size(), 10u);
  for (const std::int32_t slot : first) EXPECT_GT(counts_[static_cast<std::size_t>(slot)], 0);
  EXPECT_EQ(select(*selector, 10), first);
  EXPECT_EQ(select(*random_selector(8), 10), first);
  EXPECT_NE(select(*selector, 10, 1), first);
  EXPECT_NE(select(*random_selector(9), 10), first);
  EXPECT_NE(selector->select(1, counter_, 10, 0).to_vector<std::int32_t>(), first);
}

TEST_F(SlotSelectorTest, RandomDoesNotPreferFrequentSlots) {
  const auto selector = random_selector(8);
  const Slots touched = counter_.touched().to_vector<std::int32_t>();
  std::vector<int> chosen(kSlots, 0);
  for (std::int64_t step = 0; step < 600; ++step) {
    for (const std::int32_t slot : select(*selector, 10, step)) {
      ++chosen[static_cast<std::size_t>(slot)];
    }
  }
  const double expected = 6000.0 / static_cast<double>(touched.size());
  for (const std::int32_t slot : touched) {
    EXPECT_NEAR(chosen[static_cast<std::size_t>(slot)], expected, 6.0 * std::sqrt(expected));
  }
}

TEST_F(SlotSelectorTest, NoAccessesGiveNoRows) {
  const AccessCounter none(kSlots, {});
  for (const auto& selector :
       {tf_selector().release(), all_selector().release(), random_selector(1).release(),
        tf_idf_selector({{df_, kBatches}}, {}).release()}) {
    const std::unique_ptr<SlotSelector> owner(selector);
    EXPECT_EQ(selector->select(0, none, 5, 0).elements(), 0);
  }
}

TEST(WeightTable, IsTheFormulaOfTheRule) {
  const std::vector<float> idf = weight_table({}, 3);
  ASSERT_EQ(idf.size(), 4u);
  EXPECT_FLOAT_EQ(idf[0], std::log(4.0f));
  EXPECT_FLOAT_EQ(idf[1], std::log(2.0f));
  EXPECT_FLOAT_EQ(idf[2], std::log(4.0f / 3.0f));
  EXPECT_EQ(idf[3], 0.0f);  // a slot that every batch reads says nothing
  const std::vector<float> cubed = weight_table({.rule = ScoreRule::idf_power, .power = 3}, 3);
  for (std::size_t df = 0; df < 4; ++df) {
    EXPECT_FLOAT_EQ(cubed[df], idf[df] * idf[df] * idf[df]);
  }
  EXPECT_EQ(weight_table({.rule = ScoreRule::df}, 3),
            (std::vector<float>{1.0f, 0.5f, 1.0f / 3.0f, 0.25f}));
  EXPECT_THROW(weight_table({.rule = ScoreRule::kl}, 3), Error);
}

}  // namespace
}  // namespace slotwise::testing
