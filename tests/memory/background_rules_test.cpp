// The rules that weigh counts against a background, each against a plain reading of its formula in
// double precision; selection per sequence against brute force; the dynamic background.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "memory/slot_selector.h"
#include "tests/data/temporary_folder.h"
#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

using Slots = std::vector<std::int32_t>;
using Scores = std::vector<double>;

Slots counts_of(const Slots& accesses, std::int64_t slots) {
  Slots counts(static_cast<std::size_t>(slots), 0);
  for (const std::int32_t slot : accesses) ++counts[static_cast<std::size_t>(slot)];
  return counts;
}

// The formulas of ScoreRule; slots that were not read get 0, which nobody looks at.
Scores formula(const RankingOptions& options, const Slots& counts, const Slots& df,
               double batches) {
  const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
  const double background =
      std::accumulate(df.begin(), df.end(), 0.0) + static_cast<double>(df.size());
  Scores out;
  for (std::size_t s = 0; s < counts.size(); ++s) {
    const double c = counts[s], seen = df[s] + 1.0, idf = std::log((batches + 1) / seen);
    const double p = c / total;
    switch (options.rule) {
      case ScoreRule::tf_idf:
        out.push_back(c * idf);
        break;
      case ScoreRule::idf_power:
        out.push_back(c * std::pow(idf, options.power));
        break;
      case ScoreRule::df:
        out.push_back(c / seen);
        break;
      case ScoreRule::kl:
        out.push_back(c == 0 ? 0 : p * std::log(p * background / seen));
        break;
    }
  }
  return out;
}

// Equal formulas may differ in the last bit: scores this near are one tie, which the lower slot
// wins.
bool better(double a, double b) {
  return a - b > 1e-6 * (std::abs(a) + std::abs(b));
}

Slots best_first(const Slots& counts, const Scores& scores) {
  Slots order;
  for (std::size_t s = 0; s < counts.size(); ++s) {
    if (counts[s] > 0) order.push_back(static_cast<std::int32_t>(s));
  }
  std::stable_sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
    return better(scores[static_cast<std::size_t>(a)], scores[static_cast<std::size_t>(b)]);
  });
  return order;
}

Slots first_ascending(Slots order, std::int64_t count) {
  order.resize(std::min(order.size(), static_cast<std::size_t>(count)));
  std::sort(order.begin(), order.end());
  return order;
}

struct Rule {
  const char* name;
  RankingOptions options;
};
std::ostream& operator<<(std::ostream& out, const Rule& rule) {
  return out << rule.name;
}

const auto kRules = ::testing::Values(
    Rule{"tf_idf", {}}, Rule{"kl", {.rule = ScoreRule::kl}}, Rule{"df", {.rule = ScoreRule::df}},
    Rule{"idf_cubed", {.rule = ScoreRule::idf_power, .power = 3}},
    Rule{"idf_root", {.rule = ScoreRule::idf_power, .power = 0.5}});

class BackgroundRules : public ::testing::TestWithParam<Rule> {
 protected:
  Slots select(SlotSelector& selector, const AccessCounter& counter, std::int64_t count) const {
    return selector.select(0, counter, count, 0).to_vector<std::int32_t>();
  }
};

// Many slots with few distinct counts and df (ties everywhere), few slots, one slot.
TEST_P(BackgroundRules, AgreeWithTheirFormula) {
  struct Shape {
    std::int32_t slots, tokens, width, batches;
  };
  std::uint64_t seed = 1;
  for (const Shape shape : {Shape{60, 45, 2, 5}, Shape{500, 300, 8, 40}, Shape{7, 30, 4, 3},
                            Shape{1, 5, 2, 9}, Shape{300, 40, 1, 1}}) {
    const Tensor slots = random_integers({shape.tokens, shape.width}, ++seed, shape.slots);
    const Tensor df = random_integers({shape.slots}, ++seed, shape.batches + 1);
    AccessCounter counter(shape.slots, {});
    counter.add(slots, {});
    const Slots counts = counts_of(slots.to_vector<std::int32_t>(), shape.slots);
    const Slots order =
        best_first(counts, formula(GetParam().options, counts, df.to_vector<std::int32_t>(),
                                   static_cast<double>(shape.batches)));
    const auto selector = background_selector({{df, shape.batches}}, GetParam().options, {});
    for (const std::int64_t count : {1, 2, 5, 13, 100, 1000}) {
      EXPECT_EQ(select(*selector, counter, count), first_ascending(order, count))
          << shape.slots << " slots, " << count << " of them";
    }
  }
}

TEST_P(BackgroundRules, NothingReadSelectsNothing) {
  for (const bool per_sequence : {false, true}) {
    RankingOptions options = GetParam().options;
    options.per_sequence = per_sequence;
    options.written_weight = 2;
    const auto selector = background_selector({{Tensor::zeros({9}, DType::i32), 4}}, options, {});
    EXPECT_TRUE(select(*selector, AccessCounter(9, {}), 5).empty());
  }
}

// Sequence by sequence, round by round, as the header tells it.
Slots taken_in_turn(const RankingOptions& options, const std::vector<Slots>& sequences,
                    const Slots& df, double batches, std::size_t count) {
  const auto slots = static_cast<std::int64_t>(df.size());
  Slots all, named;
  std::vector<Slots> orders;
  for (const Slots& accesses : sequences) {
    all.insert(all.end(), accesses.begin(), accesses.end());
    const Slots counts = counts_of(accesses, slots);
    orders.push_back(best_first(counts, formula(options, counts, df, batches)));
  }
  const Slots counts = counts_of(all, slots);
  const Scores whole = formula(options, counts, df, batches);
  for (std::size_t round = 0; round < df.size() && named.size() < count; ++round) {
    Slots fresh(df.size(), 0);
    for (const Slots& order : orders) {
      if (round >= order.size()) continue;
      const std::int32_t slot = order[round];
      if (std::find(named.begin(), named.end(), slot) == named.end()) {
        fresh[static_cast<std::size_t>(slot)] = 1;
      }
    }
    for (const std::int32_t slot : best_first(fresh, whole)) {
      if (named.size() < count) named.push_back(slot);
    }
  }
  std::sort(named.begin(), named.end());
  return named;
}

TEST_P(BackgroundRules, PerSequenceAgreesWithBruteForce) {
  constexpr std::int64_t kSlots = 90, kBatches = 6;
  RankingOptions options = GetParam().options;
  options.per_sequence = true;
  const Tensor df = random_integers({kSlots}, 3, kBatches + 1);
  const auto selector = background_selector({{df, kBatches}}, options, {});
  // Twelve tokens in sequences of 5, 1 and 6; of each access list one token does not count. Then
  // twelve in sequences of 4, as another micro-batch.
  const Tensor packed = random_integers({12, 3}, 4, kSlots), plain = random_integers({12, 3}, 5, 9);
  Slots flags(12, 1);
  flags[4] = 0;
  const Tensor valid = Tensor::from(std::vector<std::uint8_t>(flags.begin(), flags.end()), {12});
  const auto read = [](const Tensor& slots, std::int64_t begin, std::int64_t end) {
    return slots.slice(begin, end).to_vector<std::int32_t>();
  };
  const std::vector<Slots> sequences = {read(packed, 0, 4), read(packed, 5, 6), read(packed, 6, 12),
                                        read(plain, 0, 4),  read(plain, 4, 8),  read(plain, 8, 12)};
  AccessCounter counter(kSlots, {});
  for (const std::size_t count : {1u, 3u, 4u, 7u, 12u, 20u, 500u}) {
    counter.clear();
    counter.add(packed, valid);
    counter.add(plain, {});
    selector->observe({.table = 0,
                       .slots = packed,
                       .valid = valid,
                       .offsets = Tensor::from<std::int32_t>({0, 5, 6, 12}, {4}),
                       .length = 12});
    selector->observe({.table = 0, .slots = plain, .length = 4});
    EXPECT_EQ(select(*selector, counter, static_cast<std::int64_t>(count)),
              taken_in_turn(options, sequences, df.to_vector<std::int32_t>(), kBatches, count))
        << count;
  }
}

// The same batch again and again: what was written counts as read by `weight` more batches.
TEST_P(BackgroundRules, DynamicBackgroundCountsWrittenRows) {
  constexpr std::int64_t kSlots = 40, kBatches = 5, kWeight = 3, kCount = 6;
  RankingOptions options = GetParam().options;
  options.written_weight = kWeight;
  const Tensor df = random_integers({kSlots}, 8, kBatches + 1);
  const Slots untouched = df.to_vector<std::int32_t>();
  const Tensor slots = random_integers({30, 2}, 9, kSlots);
  const Slots counts = counts_of(slots.to_vector<std::int32_t>(), kSlots);
  AccessCounter counter(kSlots, {});
  counter.add(slots, {});
  const auto selector = background_selector({{df, kBatches}}, options, {});
  Slots expected_df = untouched;
  for (int step = 0; step < 8; ++step) {
    Slots df_by_rule = expected_df;
    for (std::int32_t& value : df_by_rule) {
      if (options.rule != ScoreRule::kl) value = std::min<std::int32_t>(value, kBatches);
    }
    const Slots expected =
        first_ascending(best_first(counts, formula(options, counts, df_by_rule, kBatches)), kCount);
    // A step that is left out changes nothing for the next one.
    EXPECT_EQ(select(*selector, counter, kCount), expected) << "step " << step;
    EXPECT_EQ(select(*selector, counter, kCount), expected) << "step " << step;
    selector->written(0, Tensor::from(expected, {kCount}));
    for (const std::int32_t slot : expected) {
      expected_df[static_cast<std::size_t>(slot)] += static_cast<std::int32_t>(kWeight);
    }
  }
  EXPECT_EQ(df.to_vector<std::int32_t>(), untouched);  // the caller's own is left alone
  const auto state = selector->state();
  ASSERT_EQ(state.size(), 2u);
  EXPECT_EQ(state[0].tensor.to_vector<std::int32_t>(), expected_df);
  EXPECT_EQ(state[1].tensor.to_vector<std::int64_t>(), std::vector<std::int64_t>{29});
}

INSTANTIATE_TEST_SUITE_P(All, BackgroundRules, kRules,
                         [](const auto& test) { return test.param.name; });

TEST(DynamicBackground, GoesOnFromItsState) {
  constexpr std::int64_t kSlots = 50;
  const Tensor df = random_integers({kSlots}, 2, 4);
  const TemporaryFolder folder;
  for (const bool per_sequence : {false, true}) {
    const RankingOptions options{
        .rule = ScoreRule::kl, .per_sequence = per_sequence, .written_weight = 2};
    const auto run = [&](SlotSelector& selector, int first, int end) {
      std::vector<Slots> out;
      for (int step = first; step < end; ++step) {
        const Tensor slots = random_integers({20, 2}, static_cast<std::uint64_t>(step), kSlots);
        AccessCounter counter(kSlots, {});
        counter.add(slots, {});
        selector.observe({.table = 0, .slots = slots, .length = 5});
        const Tensor rows = selector.select(0, counter, 7, step);
        selector.written(0, rows);
        out.push_back(rows.to_vector<std::int32_t>());
      }
      return out;
    };
    const auto straight = background_selector({{df, 3}}, options, {});
    run(*straight, 0, 5);
    write_safetensors(folder / "state.safetensors", straight->state());
    const auto resumed = background_selector({{df, 3}}, options, {});
    resumed->load_state(read_safetensors(folder / "state.safetensors"));
    EXPECT_EQ(run(*resumed, 5, 9), run(*straight, 5, 9));
  }
  EXPECT_TRUE(tf_idf_selector({{df, 3}}, {})->state().empty());
}

}  // namespace
}  // namespace slotwise::testing
