// Counting, scoring, ranking and the slot -> row map against plain references.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "kernels/slot_statistics.h"
#include "tests/kernels/memory_test_support.h"
#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

using Integers = std::vector<std::int32_t>;

Tensor integers(const Integers& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())});
}

struct Counter {
  Tensor counts, touched, touched_count = Tensor::zeros({1}, DType::i32);

  Counter(std::int64_t N, std::int64_t capacity)
      : counts(Tensor::zeros({N}, DType::i32)), touched(poisoned_integers({capacity})) {}
  void count(const Tensor& slots, const Tensor& valid = {}) {
    kernels::count_accesses({counts, touched, touched_count, slots, valid});
  }
  Tensor list() const { return touched.slice(0, touched_count.data<std::int32_t>()[0]); }
};

TEST(CountAccesses, CountsValidTokensInOrderOfFirstUse) {
  Counter counter(10, 10);
  const Tensor slots = Tensor::from<std::int32_t>({7, 2, 7, /**/ 9, 9, 9, /**/ 2, 0, 5}, {3, 3});
  counter.count(slots, Tensor::from<std::uint8_t>({1, 0, 1}, {3}));
  EXPECT_EQ(counter.list().to_vector<std::int32_t>(), (Integers{7, 2, 0, 5}));
  EXPECT_EQ(counter.counts.to_vector<std::int32_t>(), (Integers{1, 0, 2, 0, 0, 1, 0, 2, 0, 0}));
  counter.count(slots);  // a second piece of the same batch adds up
  EXPECT_EQ(counter.list().to_vector<std::int32_t>(), (Integers{7, 2, 0, 5, 9}));
  EXPECT_EQ(counter.counts.to_vector<std::int32_t>(), (Integers{2, 0, 4, 0, 0, 2, 0, 4, 0, 3}));
  kernels::clear_counts({counter.counts, counter.list()});
  for (const std::int32_t count : counter.counts.span<std::int32_t>()) EXPECT_EQ(count, 0);
}

TEST(CountAccesses, EmptyAndFull) {
  Counter counter(4, 4);
  counter.count(Tensor::empty({0, 3}, DType::i32));
  EXPECT_EQ(counter.list().elements(), 0);
  Counter small(100, 2);
  small.count(Tensor::from<std::int32_t>({1, 2}, {1, 2}));
  EXPECT_THROW(small.count(Tensor::from<std::int32_t>({3, 4}, {1, 2})), Error);
  EXPECT_THROW(small.count(Tensor::from<std::int32_t>({1, 1, 1}, {1, 3})), Error);
}

TEST(ScoreSlots, IsOneProductOrTheCount) {
  const Tensor counts = integers({0, 3, 5, 0, 7}), touched = integers({4, 1, 2});
  const Tensor df = integers({0, 2, 1, 2, 0});
  const std::vector<float> idf = {std::log(3.0f), std::log(1.5f), 0.0f};
  const Tensor scores = poisoned({3});
  kernels::score_slots({scores, touched, counts, df, Tensor::from(idf, {3})});
  EXPECT_EQ(scores.to_vector<float>(),
            (std::vector<float>{7.0f * idf[0], 3.0f * idf[2], 5.0f * idf[1]}));
  const Tensor high = integers({0, 2, 1, 900, 3});  // above the table: as its last entry
  kernels::score_slots({scores, touched, counts, high, Tensor::from(idf, {3})});
  EXPECT_EQ(scores.to_vector<float>(),
            (std::vector<float>{7.0f * idf[2], 3.0f * idf[2], 5.0f * idf[1]}));
  kernels::score_slots({scores, touched, counts, {}, {}});
  EXPECT_EQ(scores.to_vector<float>(), (std::vector<float>{7, 3, 5}));
  EXPECT_THROW(kernels::score_slots({scores, touched, counts, df, {}}), Error);
}

TEST(TopSlots, TakesTheHighestWithTiesToTheLowerSlot) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const Tensor touched = integers({50, 40, 30, 20, 10, 60, 70});
  const Tensor scores = Tensor::from<float>({1.0f, 2.0f, 1.0f, 1.0f, -3.0f, nan, -infinity}, {7});
  const auto top = [&](std::int64_t t) {
    const Tensor selected = poisoned_integers({t});
    kernels::top_slots({selected, touched, scores});
    return selected.to_vector<std::int32_t>();
  };
  EXPECT_EQ(top(0), Integers{});
  EXPECT_EQ(top(1), Integers{40});
  EXPECT_EQ(top(2), (Integers{20, 40}));
  EXPECT_EQ(top(3), (Integers{20, 30, 40}));
  EXPECT_EQ(top(5), (Integers{10, 20, 30, 40, 50}));
  EXPECT_EQ(top(6), (Integers{10, 20, 30, 40, 50, 70}));
  EXPECT_EQ(top(7), (Integers{10, 20, 30, 40, 50, 60, 70}));
  EXPECT_THROW(top(8), Error);
}

TEST(TopSlots, MatchesAFullSort) {
  for (const std::int64_t accessed : {1, 10, 1000, 20000}) {
    const Tensor scores = random_normal({accessed}, 11);
    Integers slots(static_cast<std::size_t>(accessed));
    for (std::int64_t i = 0; i < accessed; ++i) {
      slots[static_cast<std::size_t>(i)] = static_cast<std::int32_t>((i * 7919) % 1000003);
      float& score = scores.data<float>()[i];
      score = std::round(score * 8) / 8;  // many ties
    }
    std::vector<std::pair<float, std::int32_t>> order;
    for (std::int64_t i = 0; i < accessed; ++i) {
      order.push_back({-scores.data<float>()[i], slots[static_cast<std::size_t>(i)]});
    }
    std::sort(order.begin(), order.end());
    for (const std::int64_t t : {std::int64_t{1}, accessed / 3, accessed}) {
      Integers expected;
      for (std::int64_t i = 0; i < t; ++i) {
        expected.push_back(order[static_cast<std::size_t>(i)].second);
      }
      std::sort(expected.begin(), expected.end());
      const Tensor selected = poisoned_integers({t});
      kernels::top_slots({selected, integers(slots), scores});
      ASSERT_EQ(selected.to_vector<std::int32_t>(), expected) << accessed << ", " << t;
    }
  }
}

TEST(MapSlots, SetsAndClears) {
  const Tensor map = integers({-1, -1, -1, -1, -1}), slots = integers({3, 0});
  kernels::map_slots({map, slots});
  EXPECT_EQ(map.to_vector<std::int32_t>(), (Integers{1, -1, -1, 0, -1}));
  kernels::map_slots({.map = map, .slots = slots, .clear = true});
  EXPECT_EQ(map.to_vector<std::int32_t>(), (Integers{-1, -1, -1, -1, -1}));
}

TEST(AddDocument, CountsEachListedSlotOnce) {
  const Tensor df = integers({0, 4, 0});
  kernels::add_document({df, integers({1, 2})});
  kernels::add_document({df, integers({})});
  EXPECT_EQ(df.to_vector<std::int32_t>(), (Integers{0, 5, 1}));
  kernels::add_document({df, integers({2, 0}), 7});
  EXPECT_EQ(df.to_vector<std::int32_t>(), (Integers{7, 5, 8}));
}

TEST(CountAccesses, AgreesWithAMapOnRandomSlots) {
  const Tensor slots = random_integers({500, 16}, 5, 300);
  Counter counter(300, 300);
  counter.count(slots);
  std::map<std::int32_t, std::int32_t> expected;
  for (const std::int32_t slot : slots.span<std::int32_t>()) ++expected[slot];
  EXPECT_EQ(static_cast<std::size_t>(counter.list().elements()), expected.size());
  for (const auto& [slot, count] : expected) {
    EXPECT_EQ(counter.counts.data<std::int32_t>()[slot], count);
  }
}

}  // namespace
}  // namespace slotwise::testing
