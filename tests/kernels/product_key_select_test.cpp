// Selection against brute force over all n^2 pairs under the stated order, on scores made to tie.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/random.h"
#include "kernels/product_key.h"
#include "tests/kernels/memory_test_support.h"

namespace slotwise::testing {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Candidate {
  float sum, s1, s2;
  std::int32_t i1, i2;
};

// NaN is below -inf.
bool above(float a, float b) {
  return std::isnan(b) ? !std::isnan(a) : a > b;
}

bool precedes(const Candidate& a, const Candidate& b) {
  if (above(a.sum, b.sum) || above(b.sum, a.sum)) return above(a.sum, b.sum);
  if (above(a.s1, b.s1) || above(b.s1, a.s1)) return above(a.s1, b.s1);
  if (above(a.s2, b.s2) || above(b.s2, a.s2)) return above(a.s2, b.s2);
  return a.i1 != b.i1 ? a.i1 < b.i1 : a.i2 < b.i2;
}

std::vector<Candidate> brute_force(const float* half_scores, std::int32_t n, std::int64_t k) {
  std::vector<Candidate> all;
  for (std::int32_t i1 = 0; i1 < n; ++i1) {
    for (std::int32_t i2 = 0; i2 < n; ++i2) {
      const float s1 = half_scores[i1], s2 = half_scores[n + i2];
      float sum = s1 + s2;
      if (!std::isnan(s1) && !std::isnan(s2) && std::isnan(sum)) sum = -kInfinity;  // inf - inf
      all.push_back({sum, s1, s2, i1, i2});
    }
  }
  std::partial_sort(all.begin(), all.begin() + k, all.end(), precedes);
  all.resize(static_cast<std::size_t>(k));
  return all;
}

void expect_equal_to_brute_force(const Tensor& half_scores, std::int64_t k, const char* label) {
  const std::int64_t rows = half_scores.size(0), n = half_scores.size(2);
  const Tensor slots = poisoned_integers({rows, k}), scores = poisoned({rows, k});
  kernels::product_key_select({slots, scores, half_scores});
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto expected =
        brute_force(half_scores.data<float>() + row * 2 * n, static_cast<std::int32_t>(n), k);
    for (std::int64_t place = 0; place < k; ++place) {
      const Candidate& candidate = expected[static_cast<std::size_t>(place)];
      const float score = scores.data<float>()[row * k + place];
      ASSERT_EQ(slots.data<std::int32_t>()[row * k + place], candidate.i1 * n + candidate.i2)
          << label << ": n " << n << ", k " << k << ", row " << row << ", place " << place;
      ASSERT_TRUE(score == candidate.sum || (std::isnan(score) && std::isnan(candidate.sum)))
          << label << ": " << score << " is not " << candidate.sum;
    }
  }
}

struct Size {
  std::int64_t n, k;
};
const Size kSizes[] = {{1, 1},   {2, 2},    {3, 2},    {5, 4},     {7, 7},    {8, 3},   {16, 1},
                       {33, 5},  {40, 40},  {64, 32},  {65, 16},   {97, 31},  {100, 8}, {129, 33},
                       {256, 4}, {257, 64}, {300, 32}, {210, 210}, {400, 130}};

// Runs every size with half scores made by score(normal number, random word).
template <class Score>
void run_sizes(const char* label, Score&& score) {
  for (const Size& size : kSizes) {
    const std::int64_t rows = size.n > 128 ? 3 : 12;
    const Tensor half_scores = Tensor::empty({rows, 2, size.n});
    Random random(static_cast<std::uint64_t>(size.n * 1000 + size.k), label);
    for (float& x : half_scores.span<float>()) {
      const float normal = random.normal();
      x = score(normal, random.below(1000));
    }
    expect_equal_to_brute_force(half_scores, size.k, label);
  }
}

TEST(ProductKeySelect, RandomScores) {
  run_sizes("random", [](float normal, std::uint64_t) { return normal; });
}

TEST(ProductKeySelect, QuantisedScoresTieOften) {
  run_sizes("halves", [](float normal, std::uint64_t) { return std::round(normal * 2) / 2; });
  run_sizes("thousandths",
            [](float normal, std::uint64_t) { return std::round(normal * 64) / 64; });
}

TEST(ProductKeySelect, IncrementsLostInRoundingTieTheSums) {
  // Steps of 1e-9 vanish in sums near 1 though the half scores differ; 5e-8 sometimes survives.
  for (const float step : {1e-9f, 5e-8f, 3e-7f}) {
    for (const float large : {1.0f, 16.0f}) {
      const Tensor half_scores = Tensor::empty({8, 2, 70});
      Random random(5, "lost increments");
      for (std::int64_t i = 0; i < half_scores.elements(); ++i) {
        const bool first_half = i / 70 % 2 == 0;
        const float base = first_half == (i / 140 % 2 == 0) ? large : 0.0f;
        half_scores.data<float>()[i] = base + step * static_cast<float>(random.below(40));
      }
      expect_equal_to_brute_force(half_scores, 32, "lost increments");
    }
  }
}

TEST(ProductKeySelect, AllEqualTakesTheLowestIndices) {
  run_sizes("equal", [](float, std::uint64_t) { return 0.25f; });
  run_sizes("signed zeros", [](float, std::uint64_t word) { return word % 2 == 0 ? 0.0f : -0.0f; });
}

TEST(ProductKeySelect, PaddingInfinityAndNaN) {
  run_sizes("some padding",
            [](float normal, std::uint64_t word) { return word < 300 ? -kInfinity : normal; });
  run_sizes("nearly all padding",
            [](float normal, std::uint64_t word) { return word < 980 ? -kInfinity : normal; });
  run_sizes("some NaN",
            [](float normal, std::uint64_t word) { return word < 300 ? kNaN : normal; });
  run_sizes("one in a hundred NaN",
            [](float normal, std::uint64_t word) { return word < 10 ? kNaN : normal; });
  run_sizes("all NaN", [](float, std::uint64_t) { return kNaN; });
  run_sizes("negative NaN and padding", [](float normal, std::uint64_t word) {
    return word < 300 ? -kNaN : (word < 700 ? -kInfinity : normal);
  });
  run_sizes("everything", [](float normal, std::uint64_t word) {
    if (word < 150) return kNaN;
    if (word < 300) return -kInfinity;
    return word < 330 ? kInfinity : std::round(normal);
  });
  run_sizes("overflow", [](float normal, std::uint64_t) { return normal * 3e38f; });
}

TEST(ProductKeySelect, PaddingLosesToEveryFiniteScore) {
  const std::int64_t n = 50, k = 8;
  const Tensor half_scores = Tensor::empty({1, 2, n});
  for (float& x : half_scores.span<float>()) x = -kInfinity;
  for (const std::int64_t i : {3, 17, 41}) half_scores.data<float>()[i] = -1e30f;
  for (const std::int64_t i : {0, 9, 49}) half_scores.data<float>()[n + i] = -1e30f;
  const Tensor slots = poisoned_integers({1, k}), scores = poisoned({1, k});
  kernels::product_key_select({slots, scores, half_scores});
  for (const float score : scores.span<float>()) EXPECT_EQ(score, -2e30f);
}

TEST(ProductKeySelect, LargeTable) {
  const Tensor half_scores = Tensor::empty({3, 2, 1024});
  Random random(9, "large");
  for (float& x : half_scores.span<float>()) x = random.normal();
  expect_equal_to_brute_force(half_scores, 32, "large");
  // Sorted scores are the worst case of a running threshold.
  std::sort(half_scores.data<float>(), half_scores.data<float>() + 1024);
  expect_equal_to_brute_force(half_scores, 32, "large, ascending");
}

TEST(ProductKeySelect, NoRowsAndAnyThreads) {
  kernels::product_key_select(
      {Tensor::empty({0, 3}, DType::i32), Tensor::empty({0, 3}), Tensor::empty({0, 2, 5})});
  const Tensor half_scores = Tensor::empty({100, 2, 64});
  fill_normal(half_scores, 1.0f, Random(3, "threads"));
  EXPECT_TRUE(same_bits_on_any_threads([&] {
    const Tensor slots = poisoned_integers({100, 8}), scores = poisoned({100, 8});
    kernels::product_key_select({slots, scores, half_scores});
    return std::vector<Tensor>{slots, scores};
  }));
}

TEST(ProductKeySelect, RefusesWrongSizes) {
  const auto select = [](std::int64_t n, std::int64_t k) {
    kernels::product_key_select(
        {Tensor::empty({1, k}, DType::i32), Tensor::empty({1, k}), Tensor::zeros({1, 2, n})});
  };
  EXPECT_THROW(select(4, 5), Error);
  EXPECT_THROW(select(4, 0), Error);
  EXPECT_THROW(select(46341, 1), Error);
  EXPECT_NO_THROW(select(46340, 1));
}

TEST(SoftmaxRows, MatchesDoublesAndHandlesPadding) {
  const Tensor x = Tensor::from<float>({0,          1,    2,          -5,     //
                                        -kInfinity, 3,    kNaN,       3,      //
                                        -kInfinity, kNaN, -kInfinity, -kNaN,  //
                                        kInfinity,  1,    kInfinity,  kNaN,   //
                                        88,         -88,  3e38f,      -3e38f},
                                       {5, 4});
  const Tensor y = poisoned({5, 4});
  kernels::softmax_rows({y, x});
  const std::vector<float> actual = y.to_vector<float>();
  const double sum = 1 + std::exp(1.0) + std::exp(2.0) + std::exp(-5.0);
  const std::vector<double> expected = {1 / sum,
                                        std::exp(1.0) / sum,
                                        std::exp(2.0) / sum,
                                        std::exp(-5.0) / sum,
                                        0,
                                        0.5,
                                        0,
                                        0.5,
                                        0.25,
                                        0.25,
                                        0.25,
                                        0.25,
                                        0.5,
                                        0,
                                        0.5,
                                        0,
                                        0,
                                        0,
                                        1,
                                        0};
  for (std::size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 3e-7) << i;
}

}  // namespace
}  // namespace slotwise::testing
