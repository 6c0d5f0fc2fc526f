#include "train/confidence.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/random.h"

namespace slotwise {
namespace {

// The two roots of |p - share| = z sqrt(p (1 - p) / n), by bisection: what Wilson's formula solves.
double root(double share, double count, double from, double to) {
  constexpr double kZ = 1.959963984540054;
  const auto outside = [&](double p) {
    return std::abs(p - share) > kZ * std::sqrt(p * (1 - p) / count);
  };
  for (int i = 0; i < 200; ++i) {
    const double middle = (from + to) / 2;
    (outside(middle) ? from : to) = middle;
  }
  return from;
}

TEST(Confidence, WilsonSolvesItsEquation) {
  for (const auto& [successes, count] :
       {std::pair{3, 10}, {50, 100}, {1, 1000}, {999, 1000}, {7, 8}}) {
    const double share = static_cast<double>(successes) / count;
    const Interval interval = *wilson_interval(successes, count);
    EXPECT_NEAR(interval.low, root(share, count, 0, share), 1e-9);
    EXPECT_NEAR(interval.high, root(share, count, 1, share), 1e-9);
  }
}

TEST(Confidence, WilsonAtTheEdges) {
  EXPECT_FALSE(wilson_interval(0, 0));
  EXPECT_EQ(wilson_interval(0, 20)->low, 0);
  EXPECT_NEAR(wilson_interval(0, 20)->high, 0.1611, 1e-4);  // z^2 / (n + z^2)
  EXPECT_EQ(wilson_interval(20, 20)->high, 1);
  EXPECT_GT(wilson_interval(1, 1)->low, 0.2);
}

TEST(Confidence, BootstrapAgreesWithTheNormalIntervalOfALargeSample) {
  const Random random(4, "sample");
  std::vector<double> values;
  double sum = 0, squares = 0;
  for (std::uint64_t i = 0; i < 2001; ++i) {
    values.push_back(random.normal_at(i) + 3);
    sum += values.back();
    squares += values.back() * values.back();
  }
  const double n = static_cast<double>(values.size()), mean = sum / n;
  const double half = 1.96 * std::sqrt((squares / n - mean * mean) / n);
  const Interval interval = *bootstrap_interval(values);
  EXPECT_NEAR(interval.low, mean - half, 0.15 * half);
  EXPECT_NEAR(interval.high, mean + half, 0.15 * half);
  EXPECT_EQ(*bootstrap_interval(values), interval) << "the same values, the same interval";
}

TEST(Confidence, BootstrapDrawsValueAndWeightTogether) {
  // Every question has 0.5 a token, however long it is: there is nothing to be uncertain of.
  const std::vector<double> tokens = {1, 20, 3, 400, 5}, losses = {0.5, 10, 1.5, 200, 2.5};
  const Interval interval = *bootstrap_interval(losses, tokens);
  EXPECT_NEAR(interval.low, 0.5, 1e-12);
  EXPECT_NEAR(interval.high, 0.5, 1e-12);
}

TEST(Confidence, BootstrapReachesTheFirstAndTheLastQuestion) {
  // Two questions of 0 and 1: a quarter of the resamples are all 0, a quarter all 1.
  const Interval interval = *bootstrap_interval(std::vector<double>{0, 1});
  EXPECT_EQ(interval, (Interval{0, 1}));
  EXPECT_FALSE(bootstrap_interval(std::vector<double>{1}));
  EXPECT_FALSE(bootstrap_interval({}));
  EXPECT_THROW(bootstrap_interval(std::vector<double>{1, 2}, std::vector<double>{1}), Error);
}

}  // namespace
}  // namespace slotwise
