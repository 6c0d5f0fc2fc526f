// Cross-entropy: what a registration cannot say.
#include "kernels/cross_entropy.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

struct Result {
  std::vector<float> losses, dlogits;
};

Result run(const Tensor& logits, const std::vector<std::int32_t>& targets, bool gradient = true) {
  const Tensor losses = Tensor::empty({logits.size(0)});
  const Tensor dlogits = gradient ? Tensor::empty_like(logits) : Tensor();
  kernels::cross_entropy({.losses = losses,
                          .dlogits = dlogits,
                          .logits = logits,
                          .targets = Tensor::from(targets, {logits.size(0)})});
  return {losses.to_vector<float>(), gradient ? dlogits.to_vector<float>() : std::vector<float>{}};
}

// Wherever the NaN stands, also where a maximum would skip it; a row without a target stays 0.
TEST(CrossEntropy, NanIsNotHidden) {
  for (std::int64_t place = 0; place < 19; ++place) {
    const Tensor logits = random_normal({2, 19}, 1);
    logits.data<float>()[place] = NAN;
    logits.data<float>()[19 + place] = NAN;
    const Result result = run(logits, {4, -1});
    EXPECT_TRUE(std::isnan(result.losses[0])) << place;
    EXPECT_TRUE(std::isnan(result.dlogits[7])) << place;
    EXPECT_EQ(result.losses[1], 0.0f);
    EXPECT_EQ(result.dlogits[19 + 7], 0.0f);
  }
}

TEST(CrossEntropy, InfiniteLogits) {
  const Tensor logits = random_normal({3, 9}, 1);
  logits.data<float>()[2] = -INFINITY;      // not the target: as if the class did not exist
  logits.data<float>()[9 + 2] = -INFINITY;  // the target: impossible
  logits.data<float>()[18 + 2] = INFINITY;
  const Result result = run(logits, {4, 2, 4});
  EXPECT_TRUE(std::isfinite(result.losses[0]));
  EXPECT_EQ(result.dlogits[2], 0.0f);
  EXPECT_EQ(result.losses[1], INFINITY);
  EXPECT_FALSE(std::isfinite(result.losses[2]));
}

TEST(CrossEntropy, LossesDoNotDependOnWantingTheGradient) {
  const Tensor logits = random_normal({7, 3001}, 1, 4.0f);
  const std::vector<std::int32_t> targets{0, 3000, 5, -1, 1024, 1023, 77};
  EXPECT_EQ(run(logits, targets, true).losses, run(logits, targets, false).losses);
}

TEST(CrossEntropy, RefusesATargetPastTheVocabulary) {
  EXPECT_THROW(run(Tensor::zeros({2, 5}), {4, 5}), Error);
}

}  // namespace
}  // namespace slotwise::testing
