#include "data/batch.h"

#include <gtest/gtest.h>

namespace slotwise {
namespace {

using Ids = std::vector<std::int32_t>;

TEST(MakeBatch, ShiftsAndPadsOnTheRight) {
  const TokenBatch batch = make_batch({{1, 5, 6, 7}, {1, 8}, {1, 9, 9}}, 0);
  EXPECT_EQ(batch.tokens.shape(), (Shape{3, 3}));
  EXPECT_EQ(batch.tokens.to_vector<std::int32_t>(), (Ids{1, 5, 6, 1, 0, 0, 1, 9, 0}));
  EXPECT_EQ(batch.targets.to_vector<std::int32_t>(), (Ids{5, 6, 7, 8, -1, -1, 9, 9, -1}));
  EXPECT_EQ(batch.valid_tokens, 6);
}

TEST(MakeBatch, OneRowOfTwoTokens) {
  const TokenBatch batch = make_batch({{3, 4}}, 7);
  EXPECT_EQ(batch.tokens.to_vector<std::int32_t>(), (Ids{3}));
  EXPECT_EQ(batch.targets.to_vector<std::int32_t>(), (Ids{4}));
}

TEST(MakeBatch, SequencesWithoutATargetCarryNoLoss) {
  const TokenBatch batch = make_batch({{}, {5}, {1, 2, 3}}, 9);
  EXPECT_EQ(batch.tokens.to_vector<std::int32_t>(), (Ids{9, 9, 5, 9, 1, 2}));
  EXPECT_EQ(batch.targets.to_vector<std::int32_t>(), (Ids{-1, -1, -1, -1, 2, 3}));
  EXPECT_EQ(batch.valid_tokens, 2);
}

TEST(MakeBatch, ATokenThatIsThePadIdStillCounts) {
  const TokenBatch batch = make_batch({{1, 0, 2}}, 0);
  EXPECT_EQ(batch.targets.to_vector<std::int32_t>(), (Ids{0, 2}));
  EXPECT_EQ(batch.valid_tokens, 2);
}

TEST(MakeBatch, RefusesBatchesWithNothingToLearn) {
  EXPECT_THROW(make_batch({}, 0), Error);
  EXPECT_THROW(make_batch({{1}, {}}, 0), Error);
}

}  // namespace
}  // namespace slotwise
