// Sums over table rows and their backward against double precision, with hot slots, repeated slots,
// bf16 tables and any number of threads.
#include <gtest/gtest.h>

#include "kernels/weighted_bag.h"
#include "tests/kernels/memory_test_support.h"
#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

using Vector = std::vector<double>;

struct Sizes {
  std::int64_t M, J, N, D;
};
const Sizes kSizes[] = {{1, 1, 1, 1},     {0, 4, 5, 8},    {3, 0, 5, 8},       {5, 3, 2, 7},
                        {17, 16, 50, 64}, {40, 5, 3, 33},  {9, 128, 1000, 40}, {600, 16, 40, 17},
                        {6, 7, 300, 260}, {2, 9, 5000, 16}};

std::size_t at(std::int64_t index) {
  return static_cast<std::size_t>(index);
}

struct Bag {
  Sizes size;
  Tensor values, slots, weights, dy;

  explicit Bag(const Sizes& sizes)
      : size(sizes),
        values(random_normal({size.N, size.D}, 1)),
        slots(random_integers({size.M, size.J}, 2, static_cast<std::int32_t>(size.N))),
        weights(random_normal({size.M, size.J}, 3)),
        dy(random_normal({size.M, size.D}, 4)) {}

  std::int64_t slot(std::int64_t access) const { return slots.data<std::int32_t>()[access]; }
  double weight(std::int64_t access) const {
    return static_cast<double>(weights.data<float>()[access]);
  }
};

Tensor to_bfloat16(const Tensor& x) {
  const Tensor out = Tensor::empty(x.shape(), DType::bf16);
  for (std::int64_t i = 0; i < x.elements(); ++i) {
    out.data<BFloat16>()[i] = BFloat16(x.data<float>()[i]);
  }
  return out;
}

Tensor widened(const Tensor& x) {
  const Tensor out = Tensor::empty(x.shape());
  for (std::int64_t i = 0; i < x.elements(); ++i) {
    out.data<float>()[i] = static_cast<float>(x.data<BFloat16>()[i]);
  }
  return out;
}

Vector reference_forward(const Bag& bag, const Vector& values) {
  const auto [M, J, N, D] = bag.size;
  Vector y(at(M * D), 0.0);
  for (std::int64_t access = 0; access < M * J; ++access) {
    for (std::int64_t d = 0; d < D; ++d) {
      y[at(access / J * D + d)] += bag.weight(access) * values[at(bag.slot(access) * D + d)];
    }
  }
  return y;
}

Vector reference_weights(const Bag& bag, const Vector& values) {
  const auto [M, J, N, D] = bag.size;
  const Vector dy = to_doubles(bag.dy);
  Vector dweights(at(M * J), 0.0);
  for (std::int64_t access = 0; access < M * J; ++access) {
    for (std::int64_t d = 0; d < D; ++d) {
      dweights[at(access)] += dy[at(access / J * D + d)] * values[at(bag.slot(access) * D + d)];
    }
  }
  return dweights;
}

// row_of[slot] < 0: left out.
Vector reference_values(const Bag& bag, const std::vector<std::int32_t>& row_of,
                        std::int64_t rows) {
  const auto [M, J, N, D] = bag.size;
  const Vector dy = to_doubles(bag.dy);
  Vector out(at(rows * D), 0.0);
  for (std::int64_t access = 0; access < M * J; ++access) {
    const std::int64_t row = row_of[at(bag.slot(access))];
    for (std::int64_t d = 0; row >= 0 && d < D; ++d) {
      out[at(row * D + d)] += bag.weight(access) * dy[at(access / J * D + d)];
    }
  }
  return out;
}

std::vector<std::int32_t> identity(std::int64_t N) {
  std::vector<std::int32_t> rows(at(N));
  for (std::int64_t i = 0; i < N; ++i) rows[at(i)] = static_cast<std::int32_t>(i);
  return rows;
}

void add(Vector& to, const Vector& from) {
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

TEST(WeightedBag, ForwardMatchesDoubles) {
  for (const Sizes& size : kSizes) {
    const Bag bag(size);
    const Tensor y = poisoned({size.M, size.D});
    kernels::weighted_bag_forward({y, bag.values, bag.slots, bag.weights});
    EXPECT_LT(relative_error(y, reference_forward(bag, to_doubles(bag.values))), 1e-6)
        << size.M << " x " << size.J;

    const Tensor rounded = to_bfloat16(bag.values);
    kernels::weighted_bag_forward({y, rounded, bag.slots, bag.weights});
    EXPECT_LT(relative_error(y, reference_forward(bag, to_doubles(widened(rounded)))), 1e-6);
  }
}

TEST(WeightedBag, BackwardWeightsMatchesDoubles) {
  for (const Sizes& size : kSizes) {
    const Bag bag(size);
    const Tensor dweights = poisoned({size.M, size.J});
    kernels::weighted_bag_backward_weights({{dweights}, bag.dy, bag.values, bag.slots});
    Vector expected = reference_weights(bag, to_doubles(bag.values));
    EXPECT_LT(relative_error(dweights, expected), 1e-6);

    kernels::weighted_bag_backward_weights({{dweights, true}, bag.dy, bag.values, bag.slots});
    for (double& x : expected) x *= 2;
    EXPECT_LT(relative_error(dweights, expected), 1e-6);

    const Tensor rounded = to_bfloat16(bag.values);
    kernels::weighted_bag_backward_weights({{dweights}, bag.dy, rounded, bag.slots});
    EXPECT_LT(relative_error(dweights, reference_weights(bag, to_doubles(widened(rounded)))), 1e-6);
  }
}

TEST(WeightedBag, BackwardValuesMatchesDoubles) {
  for (const Sizes& size : kSizes) {
    const Bag bag(size);
    Vector expected = reference_values(bag, identity(size.N), size.N);
    const Tensor dvalues = poisoned(bag.values.shape());
    kernels::weighted_bag_backward_values({{dvalues}, bag.dy, bag.slots, bag.weights});
    EXPECT_LT(relative_error(dvalues, expected), 1e-6) << size.N;

    const Tensor more = random_normal(bag.values.shape(), 9);
    add(expected, to_doubles(more));
    kernels::weighted_bag_backward_values({{more, true}, bag.dy, bag.slots, bag.weights});
    EXPECT_LT(relative_error(more, expected), 1e-6) << size.N;
  }
}

TEST(WeightedBag, RowsWithoutAccessAreZeroOrUntouched) {
  const Bag bag({4, 3, 2000, 5});
  const Tensor fresh = poisoned(bag.values.shape()), kept = bag.values.clone();
  kernels::weighted_bag_backward_values({{fresh}, bag.dy, bag.slots, bag.weights});
  kernels::weighted_bag_backward_values({{kept, true}, bag.dy, bag.slots, bag.weights});
  std::vector<bool> touched(2000, false);
  for (const std::int32_t slot : bag.slots.span<std::int32_t>()) touched[at(slot)] = true;
  for (std::int64_t i = 0; i < fresh.elements(); ++i) {
    if (touched[at(i / 5)]) continue;
    ASSERT_EQ(fresh.data<float>()[i], 0.0f);
    ASSERT_EQ(kept.data<float>()[i], bag.values.data<float>()[i]);
  }
}

TEST(WeightedBag, HotSlotKeepsItsAccuracy) {
  // 5000 accesses of slot 7, among others, and the same slot several times in one token.
  Bag bag({1250, 8, 3000, 24});
  for (std::int64_t access = 0; access < bag.slots.elements(); ++access) {
    if (access % 2 == 0) bag.slots.data<std::int32_t>()[access] = 7;
  }
  const Vector expected = reference_values(bag, identity(3000), 3000);
  const Tensor dvalues = poisoned(bag.values.shape());
  kernels::weighted_bag_backward_values({{dvalues}, bag.dy, bag.slots, bag.weights});
  EXPECT_LT(relative_error(dvalues, expected), 1e-6);
  EXPECT_TRUE(same_bits_on_any_threads([&] {
    const Tensor again = poisoned(bag.values.shape()), added = bag.values.clone();
    kernels::weighted_bag_backward_values({{again}, bag.dy, bag.slots, bag.weights});
    kernels::weighted_bag_backward_values({{added, true}, bag.dy, bag.slots, bag.weights});
    return std::vector<Tensor>{again, added};
  }));
}

TEST(WeightedBag, PieceBoundaries) {
  // Runs of one slot just below, at and above the length of a piece and of two.
  for (const std::int64_t length : {1023, 1024, 1025, 2048, 2049}) {
    Bag bag({length, 1, 3, 4});
    for (std::int32_t& slot : bag.slots.span<std::int32_t>()) slot = 1;
    const Tensor dvalues = poisoned(bag.values.shape());
    kernels::weighted_bag_backward_values({{dvalues}, bag.dy, bag.slots, bag.weights});
    EXPECT_LT(relative_error(dvalues, reference_values(bag, identity(3), 3)), 1e-6) << length;
  }
}

TEST(WeightedBag, SelectedRowsMatchDoubles) {
  for (const Sizes& size : kSizes) {
    const Bag bag(size);
    // Every third slot is chosen, rows in reverse order.
    std::vector<std::int32_t> row_of(at(size.N), -1);
    const std::int64_t chosen = (size.N + 2) / 3;
    for (std::int64_t i = 0; i < chosen; ++i) {
      row_of[at(3 * i)] = static_cast<std::int32_t>(chosen - 1 - i);
    }
    const Tensor map = Tensor::from(row_of, {size.N});
    Vector expected = reference_values(bag, row_of, chosen);
    const Tensor gradient = poisoned({chosen, size.D});
    kernels::selected_row_gradient({{gradient}, bag.dy, bag.slots, bag.weights, map});
    EXPECT_LT(relative_error(gradient, expected), 1e-6) << size.N;
    kernels::selected_row_gradient({{gradient, true}, bag.dy, bag.slots, bag.weights, map});
    for (double& x : expected) x *= 2;
    EXPECT_LT(relative_error(gradient, expected), 1e-6) << size.N;
  }
}

TEST(WeightedBag, SameBitsOnAnyThreads) {
  const Bag bag({700, 16, 90, 48});
  std::vector<std::int32_t> row_of(90, -1);
  for (std::int32_t i = 0; i < 30; ++i) row_of[at(i * 3)] = i;
  const Tensor map = Tensor::from(row_of, {90});
  EXPECT_TRUE(same_bits_on_any_threads([&] {
    const Tensor y = poisoned({700, 48}), dweights = poisoned({700, 16});
    const Tensor dvalues = poisoned(bag.values.shape()), gradient = poisoned({30, 48});
    kernels::weighted_bag_forward({y, bag.values, bag.slots, bag.weights});
    kernels::weighted_bag_backward_weights({{dweights}, bag.dy, bag.values, bag.slots});
    kernels::weighted_bag_backward_values({{dvalues}, bag.dy, bag.slots, bag.weights});
    kernels::selected_row_gradient({{gradient}, bag.dy, bag.slots, bag.weights, map});
    return std::vector<Tensor>{y, dweights, dvalues, gradient};
  }));
}

TEST(WeightedBag, SelectedRowsEqualTheDenseGradientBitForBit) {
  const Bag bag({300, 16, 64, 20});
  const Tensor dense = poisoned(bag.values.shape()), chosen = poisoned({64, 20});
  kernels::weighted_bag_backward_values({{dense}, bag.dy, bag.slots, bag.weights});
  const Tensor map = Tensor::from(identity(64), {64});
  kernels::selected_row_gradient({{chosen}, bag.dy, bag.slots, bag.weights, map});
  EXPECT_TRUE(equal_bits(dense, chosen));
}

TEST(WeightedBag, RefusesWrongShapes) {
  const Bag bag({4, 3, 10, 5});
  EXPECT_THROW(
      kernels::weighted_bag_forward({Tensor::empty({4, 6}), bag.values, bag.slots, bag.weights}),
      Error);
  EXPECT_THROW(
      kernels::weighted_bag_forward({Tensor::empty({4, 5}), bag.values, bag.weights, bag.weights}),
      Error);
  EXPECT_THROW(kernels::weighted_bag_backward_values({{}, bag.dy, bag.slots, bag.weights}), Error);
}

}  // namespace
}  // namespace slotwise::testing
