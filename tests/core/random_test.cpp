// Philox against the known answers of Random123, and what is built on it.
#include "core/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/kernels/memory_test_support.h"

namespace slotwise::testing {
namespace {

using Words = std::array<std::uint32_t, 4>;

TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}));
  constexpr std::uint32_t kOnes = 0xffffffffu;
  EXPECT_EQ(philox({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Words{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}));
  EXPECT_EQ(
      philox({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}, {0xa4093822u, 0x299f31d0u}),
      (Words{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}));
}

TEST(Random, StreamsByNameAreFnv1a) {
  EXPECT_EQ(stream_id(""), 0xcbf29ce484222325u);
  EXPECT_EQ(stream_id("a"), 0xaf63dc4c8601ec8cu);
  EXPECT_EQ(Random(3, "x").words(5), Random(3, stream_id("x")).words(5));
  EXPECT_NE(Random(3, "x").words(5), Random(3, "y").words(5));
  EXPECT_NE(Random(3, "x").words(5), Random(4, "x").words(5));
}

TEST(Random, PositionIsTheWholeState) {
  Random random(1, "sequence");
  std::vector<float> drawn;
  for (int i = 0; i < 10; ++i) drawn.push_back(random.uniform());
  EXPECT_EQ(random.position(), 10u);
  random.seek(4);
  EXPECT_EQ(random.uniform(), drawn[4]);
  EXPECT_EQ(random.uniform_at(7), drawn[7]);
}

TEST(Random, UniformHasItsMoments) {
  const Random random(11, "uniform");
  constexpr int kCount = 40000;
  double sum = 0, squares = 0;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    const double x = static_cast<double>(random.uniform_at(i));
    ASSERT_GE(x, 0.0);
    ASSERT_LT(x, 1.0);
    sum += x;
    squares += x * x;
  }
  const double mean = sum / kCount;
  EXPECT_NEAR(mean, 0.5, 4 * std::sqrt(1.0 / 12 / kCount));
  EXPECT_NEAR(squares / kCount - mean * mean, 1.0 / 12, 0.002);
}

TEST(Random, NormalHasItsMoments) {
  const Random random(12, "normal");
  constexpr int kCount = 40000;
  double moments[5] = {};
  for (std::uint64_t i = 0; i < kCount; ++i) {
    const double x = static_cast<double>(random.normal_at(i));
    for (int p = 1; p < 5; ++p) moments[p] += std::pow(x, p) / kCount;
  }
  EXPECT_NEAR(moments[1], 0.0, 0.02);
  EXPECT_NEAR(moments[2], 1.0, 0.03);
  EXPECT_NEAR(moments[3], 0.0, 0.08);
  EXPECT_NEAR(moments[4], 3.0, 0.2);
}

TEST(Random, BelowStaysBelowAndReachesAll) {
  Random random(13, "below");
  for (const std::uint64_t bound : {1u, 2u, 7u, 100u}) {
    std::vector<int> seen(bound, 0);
    for (std::uint64_t i = 0; i < 100 * bound; ++i) ++seen.at(random.below(bound));
    EXPECT_GT(*std::min_element(seen.begin(), seen.end()), 50);
  }
  const std::uint64_t huge = std::uint64_t{1} << 63;
  bool high = false;
  for (int i = 0; i < 64; ++i) {
    const std::uint64_t value = random.below(huge);
    ASSERT_LT(value, huge);
    high = high || value > huge / 2;
  }
  EXPECT_TRUE(high);
  EXPECT_THROW(random.below(0), Error);
}

TEST(Random, PermutationHoldsEachIndexOnce) {
  for (const std::int64_t count : {0, 1, 2, 100}) {
    Random random(14, "permutation");
    std::vector<std::int64_t> order = random.permutation(count);
    EXPECT_EQ(random.position(), static_cast<std::uint64_t>(std::max<std::int64_t>(count - 1, 0)));
    if (count == 100) {
      EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
    }
    std::sort(order.begin(), order.end());
    ASSERT_EQ(static_cast<std::int64_t>(order.size()), count);
    for (std::int64_t i = 0; i < count; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  }
}

TEST(Random, FillsDoNotDependOnThreads) {
  const Random random(15, "fill");
  EXPECT_TRUE(same_bits_on_any_threads([&] {
    const Tensor normal = Tensor::empty({40000}), uniform = Tensor::empty({40000});
    fill_normal(normal, 0.5f, random);
    fill_uniform(uniform, -2.0f, 3.0f, random);
    return std::vector<Tensor>{normal, uniform};
  }));
  const Tensor few = Tensor::empty({100}), constant = Tensor::empty({3});
  fill_uniform(few, -2.0f, 3.0f, random);
  for (const float x : few.span<float>()) EXPECT_TRUE(x >= -2.0f && x < 3.0f);
  fill_normal(few, 0.5f, random);
  EXPECT_EQ(few.data<float>()[7], 0.5f * random.normal_at(7));
  fill(constant, 4.0f);
  EXPECT_EQ(constant.to_vector<float>(), (std::vector<float>{4, 4, 4}));
}

}  // namespace
}  // namespace slotwise::testing
