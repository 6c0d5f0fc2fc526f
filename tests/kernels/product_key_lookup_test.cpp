// Lookup and its backward against double precision; gradients also by finite differences of the
// double weights with the selection held fixed.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/product_key.h"
#include "tests/kernels/memory_test_support.h"
#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

struct Sizes {
  std::int64_t M, H, h, n, k;
};
const Sizes kSizes[] = {{1, 1, 1, 2, 1},    {1, 2, 8, 5, 5},    {3, 2, 5, 7, 3},
                        {70, 1, 16, 31, 8}, {9, 4, 32, 64, 32}, {300, 2, 12, 20, 4},
                        {6, 1, 24, 300, 16}};

struct Lookup {
  Sizes size;
  Tensor query, keys, slots, weights, dweights;

  explicit Lookup(const Sizes& sizes)
      : size(sizes),
        query(random_normal({size.M, size.H, 2, size.h}, 1)),
        keys(random_normal({size.H, 2, size.n, size.h}, 2,
                           1.0f / std::sqrt(static_cast<float>(size.h)))),
        slots(poisoned_integers({size.M, size.H, size.k})),
        weights(poisoned({size.M, size.H, size.k})),
        dweights(random_normal({size.M, size.H, size.k}, 3)) {
    kernels::product_key_lookup({slots, weights, query, keys});
  }
};

using Vector = std::vector<double>;

std::size_t at(std::int64_t index) {
  return static_cast<std::size_t>(index);
}

double half_score(const Lookup& lookup, const Vector& query, const Vector& keys, std::int64_t m,
                  std::int64_t head, std::int64_t half, std::int64_t sub_key) {
  const Sizes& s = lookup.size;
  double sum = 0;
  for (std::int64_t d = 0; d < s.h; ++d) {
    sum += query[at(((m * s.H + head) * 2 + half) * s.h + d)] *
           keys[at(((head * 2 + half) * s.n + sub_key) * s.h + d)];
  }
  return sum;
}

double slot_score(const Lookup& lookup, const Vector& query, const Vector& keys, std::int64_t m,
                  std::int64_t head, std::int64_t slot) {
  return half_score(lookup, query, keys, m, head, 0, slot / lookup.size.n) +
         half_score(lookup, query, keys, m, head, 1, slot % lookup.size.n);
}

// sum of dweights * weights with the given slots.
double fixed_selection_loss(const Lookup& lookup, const Vector& query, const Vector& keys) {
  const Sizes& s = lookup.size;
  double loss = 0;
  for (std::int64_t q = 0; q < s.M * s.H; ++q) {
    double total = 0, weighted = 0;
    for (std::int64_t j = 0; j < s.k; ++j) {
      const double power = std::exp(slot_score(lookup, query, keys, q / s.H, q % s.H,
                                               lookup.slots.data<std::int32_t>()[q * s.k + j]));
      total += power;
      weighted += power * static_cast<double>(lookup.dweights.data<float>()[q * s.k + j]);
    }
    loss += weighted / total;
  }
  return loss;
}

// Gradients in double precision: the score gradient spread over query and keys densely.
void reference_backward(const Lookup& lookup, Vector& dquery, Vector& dkeys) {
  const Sizes& s = lookup.size;
  const Vector query = to_doubles(lookup.query), keys = to_doubles(lookup.keys);
  dquery.assign(query.size(), 0.0);
  dkeys.assign(keys.size(), 0.0);
  for (std::int64_t q = 0; q < s.M * s.H; ++q) {
    const std::int64_t head = q % s.H;
    Vector power(at(s.k));
    double total = 0, mean = 0;
    for (std::int64_t j = 0; j < s.k; ++j) {
      const std::int64_t slot = lookup.slots.data<std::int32_t>()[q * s.k + j];
      power[at(j)] = std::exp(slot_score(lookup, query, keys, q / s.H, head, slot));
      total += power[at(j)];
    }
    const float* dweights = lookup.dweights.data<float>() + q * s.k;
    for (std::int64_t j = 0; j < s.k; ++j) {
      mean += power[at(j)] / total * static_cast<double>(dweights[j]);
    }
    for (std::int64_t j = 0; j < s.k; ++j) {
      const std::int64_t slot = lookup.slots.data<std::int32_t>()[q * s.k + j];
      const double dscore = power[at(j)] / total * (static_cast<double>(dweights[j]) - mean);
      for (std::int64_t half = 0; half < 2; ++half) {
        const std::int64_t sub_key = half == 0 ? slot / s.n : slot % s.n;
        const std::int64_t key_row = ((head * 2 + half) * s.n + sub_key) * s.h;
        for (std::int64_t d = 0; d < s.h; ++d) {
          dquery[at((q * 2 + half) * s.h + d)] += dscore * keys[at(key_row + d)];
          dkeys[at(key_row + d)] += dscore * query[at((q * 2 + half) * s.h + d)];
        }
      }
    }
  }
}

TEST(ProductKeyLookup, ChoosesTheBestSlotsWithTheirSoftmax) {
  for (const Sizes& s : kSizes) {
    const Lookup lookup(s);
    const Vector query = to_doubles(lookup.query), keys = to_doubles(lookup.keys);
    for (std::int64_t q = 0; q < s.M * s.H; ++q) {
      Vector all(at(s.n * s.n));
      Vector halves[2] = {Vector(at(s.n)), Vector(at(s.n))};
      for (std::int64_t half = 0; half < 2; ++half) {
        for (std::int64_t i = 0; i < s.n; ++i) {
          halves[half][at(i)] = half_score(lookup, query, keys, q / s.H, q % s.H, half, i);
        }
      }
      for (std::int64_t slot = 0; slot < s.n * s.n; ++slot) {
        all[at(slot)] = halves[0][at(slot / s.n)] + halves[1][at(slot % s.n)];
      }
      Vector sorted = all;
      std::partial_sort(sorted.begin(), sorted.begin() + s.k, sorted.end(), std::greater<>());
      double total = 0;
      for (std::int64_t j = 0; j < s.k; ++j) total += std::exp(sorted[at(j)]);
      for (std::int64_t j = 0; j < s.k; ++j) {
        const std::int64_t slot = lookup.slots.data<std::int32_t>()[q * s.k + j];
        ASSERT_NEAR(all[at(slot)], sorted[at(j)], 4e-6) << "n " << s.n << ", query " << q;
        ASSERT_NEAR(static_cast<double>(lookup.weights.data<float>()[q * s.k + j]),
                    std::exp(all[at(slot)]) / total, 4e-6);
      }
    }
  }
}

TEST(ProductKeyLookup, BackwardMatchesDoubles) {
  for (const Sizes& s : kSizes) {
    const Lookup lookup(s);
    Vector expected_dquery, expected_dkeys;
    reference_backward(lookup, expected_dquery, expected_dkeys);
    const Tensor dquery = poisoned(lookup.query.shape()), dkeys = poisoned(lookup.keys.shape());
    kernels::product_key_lookup_backward({{dquery},
                                          {dkeys},
                                          lookup.dweights,
                                          lookup.slots,
                                          lookup.weights,
                                          lookup.query,
                                          lookup.keys});
    EXPECT_LT(relative_error(dquery, expected_dquery), 3e-6) << "n " << s.n;
    EXPECT_LT(relative_error(dkeys, expected_dkeys), 3e-6) << "n " << s.n;

    // One sink at a time, added to what is there.
    const Tensor more_dquery = random_normal(lookup.query.shape(), 7);
    const Tensor more_dkeys = random_normal(lookup.keys.shape(), 8);
    const Vector before_dquery = to_doubles(more_dquery), before_dkeys = to_doubles(more_dkeys);
    kernels::product_key_lookup_backward({{more_dquery, true},
                                          {},
                                          lookup.dweights,
                                          lookup.slots,
                                          lookup.weights,
                                          lookup.query,
                                          lookup.keys});
    kernels::product_key_lookup_backward({{},
                                          {more_dkeys, true},
                                          lookup.dweights,
                                          lookup.slots,
                                          lookup.weights,
                                          lookup.query,
                                          lookup.keys});
    for (std::size_t i = 0; i < before_dquery.size(); ++i) expected_dquery[i] += before_dquery[i];
    for (std::size_t i = 0; i < before_dkeys.size(); ++i) expected_dkeys[i] += before_dkeys[i];
    EXPECT_LT(relative_error(more_dquery, expected_dquery), 3e-6) << "n " << s.n;
    EXPECT_LT(relative_error(more_dkeys, expected_dkeys), 3e-6) << "n " << s.n;
  }
}

TEST(ProductKeyLookup, BackwardMatchesFiniteDifferences) {
  const Lookup lookup({4, 2, 6, 9, 5});
  const Tensor dquery = poisoned(lookup.query.shape()), dkeys = poisoned(lookup.keys.shape());
  kernels::product_key_lookup_backward({{dquery},
                                        {dkeys},
                                        lookup.dweights,
                                        lookup.slots,
                                        lookup.weights,
                                        lookup.query,
                                        lookup.keys});
  Vector query = to_doubles(lookup.query), keys = to_doubles(lookup.keys);
  const double step = 1e-5;
  const auto differences = [&](Vector& input) {
    Vector out;
    for (double& x : input) {
      const double before = x;
      x = before + step;
      const double high = fixed_selection_loss(lookup, query, keys);
      x = before - step;
      out.push_back((high - fixed_selection_loss(lookup, query, keys)) / (2 * step));
      x = before;
    }
    return out;
  };
  EXPECT_LT(relative_error(dquery, differences(query)), 3e-6);
  EXPECT_LT(relative_error(dkeys, differences(keys)), 3e-6);
}

TEST(ProductKeyLookup, NoTokensAndOneHotSubKey) {
  const Lookup none({0, 2, 4, 5, 3});
  const Tensor dkeys = poisoned(none.keys.shape());
  kernels::product_key_lookup_backward({{Tensor::empty(none.query.shape())},
                                        {dkeys},
                                        none.dweights,
                                        none.slots,
                                        none.weights,
                                        none.query,
                                        none.keys});
  for (const float x : dkeys.span<float>()) EXPECT_EQ(x, 0.0f);

  // Thousands of tokens on a few sub-keys: rows cut into pieces.
  const Lookup hot({3000, 1, 4, 3, 2});
  Vector expected_dquery, expected_dkeys;
  reference_backward(hot, expected_dquery, expected_dkeys);
  const Tensor hot_dkeys = poisoned(hot.keys.shape());
  kernels::product_key_lookup_backward(
      {{}, {hot_dkeys}, hot.dweights, hot.slots, hot.weights, hot.query, hot.keys});
  EXPECT_LT(relative_error(hot_dkeys, expected_dkeys), 3e-6);
}

TEST(ProductKeyLookup, ZeroQueryTakesTheFirstSlotsUniformly) {
  const Tensor query = Tensor::zeros({2, 1, 2, 4}), keys = random_normal({1, 2, 40, 4}, 3);
  const Tensor slots = poisoned_integers({2, 1, 3}), weights = poisoned({2, 1, 3});
  kernels::product_key_lookup({slots, weights, query, keys});
  EXPECT_EQ(slots.to_vector<std::int32_t>(), (std::vector<std::int32_t>{0, 1, 2, 0, 1, 2}));
  for (const float weight : weights.span<float>()) EXPECT_FLOAT_EQ(weight, 1.0f / 3.0f);
}

TEST(ProductKeyLookup, SameBitsOnAnyThreads) {
  for (const Sizes& size : {Sizes{200, 3, 16, 50, 8}, Sizes{1, 1, 64, 256, 4}}) {
    EXPECT_TRUE(same_bits_on_any_threads([&] {
      const Lookup lookup(size);
      const Tensor dquery = poisoned(lookup.query.shape()), dkeys = poisoned(lookup.keys.shape());
      kernels::product_key_lookup_backward({{dquery},
                                            {dkeys},
                                            lookup.dweights,
                                            lookup.slots,
                                            lookup.weights,
                                            lookup.query,
                                            lookup.keys});
      return std::vector<Tensor>{lookup.slots, lookup.weights, dquery, dkeys};
    }));
  }
}

TEST(ProductKeyLookup, BackwardRefusesSlotsThatThereAreNot) {
  const Lookup lookup({3, 2, 5, 7, 3});
  const Tensor dquery = poisoned(lookup.query.shape());
  const auto message_of = [&](std::int32_t slot) -> std::string {
    lookup.slots.span<std::int32_t>()[4] = slot;
    try {
      kernels::product_key_lookup_backward(
          {{dquery}, {}, lookup.dweights, lookup.slots, lookup.weights, lookup.query, lookup.keys});
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message_of(48), "");
  for (const std::int32_t bad : {49, -1, 2147483647}) {
    EXPECT_EQ(message_of(bad),
              fmt::format("[product_key_lookup_backward] expected slots in 0..48, got {}", bad));
  }
}

TEST(ProductKeyLookup, RefusesWrongShapes) {
  const Lookup lookup({3, 2, 5, 7, 3});
  EXPECT_THROW(kernels::product_key_lookup(
                   {lookup.slots, lookup.weights, lookup.query, Tensor::zeros({2, 2, 7, 4})}),
               Error);
  EXPECT_THROW(kernels::product_key_lookup({Tensor::empty({3, 2, 8}, DType::i32),
                                            Tensor::empty({3, 2, 8}), lookup.query, lookup.keys}),
               Error);
}

}  // namespace
}  // namespace slotwise::testing
