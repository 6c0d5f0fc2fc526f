// The rate of training is that of its steps.
#include "train/progress.h"

#include <gtest/gtest.h>

namespace slotwise::testing {
namespace {

TEST(Progress, CountsTheSecondsOfStepsAlone) {
  Progress progress("test", 0, 10, true);
  progress.report({.step = 1, .tokens = 300, .seconds = 2.0});
  EXPECT_DOUBLE_EQ(progress.tokens_per_second(), 150.0);
  progress.report({.step = 2, .tokens = 100, .seconds = 2.0});
  EXPECT_DOUBLE_EQ(progress.tokens_per_second(), 100.0);
  EXPECT_LT(progress.seconds(), 2.0);
}

}  // namespace
}  // namespace slotwise::testing
