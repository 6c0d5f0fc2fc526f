#include "data/mixture_loader.h"

#include <cmath>
#include <map>
#include <set>

#include "tests/data/temporary_folder.h"

namespace slotwise {
namespace {

using Ids = std::vector<std::int32_t>;

class MixtureLoaderTest : public testing::Test {
 protected:
  // Sequences of `length` tokens that count up from `first`.
  MixturePart part(const char* name, int sequences, int length, int first, PartKind kind,
                   double weight) const {
    TokenShardWriter writer(folder_ / name, 1000, "hash");
    for (int i = 0; i < sequences; ++i) {
      Ids tokens;
      for (int t = 0; t < length; ++t) tokens.push_back(first + i * length + t);
      writer.append(tokens);
    }
    writer.finish();
    return {name, std::make_shared<const TokenShard>(folder_ / name), kind, weight};
  }
  MixtureLoader two_parts(std::uint64_t seed, const char* stream) const {
    return MixtureLoader(
        {part("a", 20, 5, 0, PartKind::rows, 3.0), part("b", 1, 100, 500, PartKind::stream, 1.0)},
        {.seed = seed, .stream = stream, .window_tokens = 7, .pad_id = 0});
  }
  TemporaryFolder folder_;
};

TEST_F(MixtureLoaderTest, ABatchDependsOnSeedStreamAndIndexAlone) {
  const MixtureLoader loader = two_parts(7, "training");
  const auto fifth = loader.sequences(5, 32);
  loader.sequences(6, 32);
  EXPECT_EQ(loader.sequences(5, 32), fifth);
  EXPECT_EQ(two_parts(7, "training").sequences(5, 32), fifth);
  EXPECT_NE(loader.sequences(6, 32), fifth);
  EXPECT_NE(two_parts(8, "training").sequences(5, 32), fifth);
  EXPECT_NE(two_parts(7, "background").sequences(5, 32), fifth);
  const auto first_rows = loader.sequences(5, 3);
  EXPECT_TRUE(std::equal(first_rows.begin(), first_rows.end(), fifth.begin()));
}

TEST_F(MixtureLoaderTest, RowsAreWholeSequencesAndWindowsAreNeighbours) {
  const MixtureLoader loader = two_parts(1, "training");
  EXPECT_EQ(loader.longest_input(), 7);
  for (std::int64_t index = 0; index < 50; ++index) {
    const auto rows = loader.sequences(index, 8);
    for (int row = 0; row < 8; ++row) {
      const Ids& tokens = rows[static_cast<std::size_t>(row)];
      const bool stream = loader.part_of_row(index, row) == 1;
      ASSERT_EQ(tokens.size(), stream ? 8u : 5u);
      EXPECT_EQ(tokens[0] >= 500, stream);
      EXPECT_TRUE(stream || tokens[0] % 5 == 0);
      for (std::size_t t = 1; t < tokens.size(); ++t) EXPECT_EQ(tokens[t], tokens[t - 1] + 1);
    }
  }
}

TEST_F(MixtureLoaderTest, EveryPlaceComesUpAsOftenAsItShould) {
  const MixtureLoader loader = two_parts(3, "training");
  constexpr int kBatches = 400, kRows = 50;
  std::map<std::int32_t, int> starts;
  int rows_of_a = 0, different_counts = 0, last_count = -1;
  for (std::int64_t index = 0; index < kBatches; ++index) {
    int in_batch = 0;
    for (const Ids& tokens : loader.sequences(index, kRows)) {
      ++starts[tokens[0]];
      in_batch += tokens[0] < 500;
    }
    different_counts += last_count >= 0 && in_batch != last_count;
    last_count = in_batch;
    rows_of_a += in_batch;
  }
  // Mean 0.75 with a standard deviation of 0.003; 5 deviations.
  EXPECT_NEAR(rows_of_a / double(kBatches * kRows), 0.75, 0.0155);
  EXPECT_GT(different_counts, kBatches / 2);  // multinomial, not fixed shares
  int sequences = 0, windows = 0;
  for (const auto& [start, count] : starts) {
    (start < 500 ? sequences : windows) += 1;
    const double expected = start < 500 ? 750.0 : 5000.0 / 93.0;
    EXPECT_NEAR(count, expected, 6 * std::sqrt(expected)) << start;
  }
  EXPECT_EQ(sequences, 20);
  EXPECT_EQ(windows, 93);  // starts 0..92: both ends are reached
}

TEST_F(MixtureLoaderTest, BatchPadsShorterRows) {
  const MixtureLoader loader = two_parts(1, "training");
  const TokenBatch batch = loader.batch(0, 32);
  EXPECT_EQ(batch.tokens.shape(), (Shape{32, 7}));
  std::int64_t valid = 0;
  for (const Ids& tokens : loader.sequences(0, 32)) {
    valid += static_cast<std::int64_t>(tokens.size()) - 1;
  }
  EXPECT_EQ(batch.valid_tokens, valid);
}

TEST_F(MixtureLoaderTest, RefusesPartsThatCannotBeDrawn) {
  const auto refusal = [](MixturePart bad) {
    return user_error_of([&] { MixtureLoader({bad}, {.window_tokens = 10}); });
  };
  EXPECT_TRUE(contains(refusal(part("p", 2, 5, 0, PartKind::rows, 0.0)), "part p has weight 0"));
  EXPECT_TRUE(contains(refusal(part("p", 2, 5, 0, PartKind::rows, NAN)), "weight"));
  EXPECT_TRUE(contains(refusal(part("p", 0, 5, 0, PartKind::rows, 1.0)), "no sequence"));
  EXPECT_TRUE(contains(refusal(part("p", 2, 5, 0, PartKind::stream, 1.0)), "10 tokens, too few"));
  EXPECT_THROW(MixtureLoader({}, {}), Error);
  // One token more than the window is the least that works.
  const MixtureLoader least({part("q", 1, 11, 0, PartKind::stream, 1.0)}, {.window_tokens = 10});
  EXPECT_EQ(least.sequences(9, 1)[0].size(), 11u);
}

}  // namespace
}  // namespace slotwise
