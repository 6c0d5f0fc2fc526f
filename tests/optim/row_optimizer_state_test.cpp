// Row optimizers as the programs use them: own step counters, state of selected rows only, resuming
// and clipping.
#include <gtest/gtest.h>

#include <cmath>

#include "layers/functional/add.h"
#include "optim/optimizer.h"
#include "optim/row_optimizer.h"
#include "tests/data/temporary_folder.h"
#include "tests/kernels/memory_test_support.h"
#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

using Slots = std::vector<std::int32_t>;

constexpr std::int64_t kSlots = 40, D = 5;

RowGradient rows_of(const Slots& slots, std::uint64_t seed) {
  const auto count = static_cast<std::int64_t>(slots.size());
  return {Tensor::from(slots, {count}), random_normal({count, D}, seed)};
}

Tensor row(const Tensor& values, std::int64_t index) {
  return values.slice(index, index + 1);
}

// Row `index` after dense Adam on that row alone, fed with the given gradients.
Tensor dense_adam(const Tensor& start, const std::vector<Tensor>& gradients, double rate,
                  const RowAdamOptions& options = {}) {
  const Variable parameter(start.clone(), true);
  const auto optimizer =
      make_adamw({{"row", parameter}}, {options.beta1, options.beta2, options.epsilon}, 0.0);
  for (const Tensor& gradient : gradients) {
    parameter.clear_grad();
    backward(add(parameter, parameter.detach()), gradient.clone());
    optimizer->step(rate);
  }
  return parameter.value();
}

void expect_dense_adam(const RowAdamOptions& options) {
  const Tensor values = random_normal({kSlots, D}, 1), before = values.clone();
  const auto optimizer = make_row_adam(options);
  std::vector<Tensor> often, seldom;
  for (std::uint64_t step = 0; step < 12; ++step) {
    const bool rare = step % 5 == 3;
    const RowGradient rows = rows_of(rare ? Slots{7, 30} : Slots{7}, 10 + step);
    often.push_back(row(rows.gradient, 0).clone());
    if (rare) seldom.push_back(row(rows.gradient, 1).clone());
    optimizer->step(values, rows, 0.01, 0.0);
  }
  const auto expect = [&](std::int64_t slot, const std::vector<Tensor>& gradients) {
    const Tensor expected = dense_adam(row(before, slot), gradients, 0.01, options);
    EXPECT_LT(relative_error(row(values, slot), to_doubles(expected)), 1e-6) << slot;
    EXPECT_FALSE(equal_bits(row(values, slot), row(before, slot)));
  };
  expect(7, often);
  ASSERT_EQ(seldom.size(), 2u);
  expect(30, seldom);
  for (std::int64_t slot = 0; slot < kSlots; ++slot) {
    if (slot != 7 && slot != 30) {
      EXPECT_TRUE(equal_bits(row(values, slot), row(before, slot)));
    }
  }
}

TEST(RowAdamOptimizer, ARowIsDenseAdamOverItsOwnSteps) {
  expect_dense_adam({});
  expect_dense_adam({.beta1 = 0.0, .beta2 = 0.9, .epsilon = 1e-4});
}

TEST(RowAdamOptimizer, KeepsStateOnlyForRowsEverSelected) {
  const Tensor values = random_normal({kSlots, D}, 1);
  const auto optimizer = make_row_adam({});
  EXPECT_TRUE(optimizer->state("t").empty());
  optimizer->step(values, rows_of({}, 1), 0.01, 1.0);
  EXPECT_TRUE(optimizer->state("t").empty());
  optimizer->step(values, rows_of({4, 9}, 2), 0.01, 1.0);
  optimizer->step(values, rows_of({1, 4}, 3), 0.01, 1.0);
  const auto state = optimizer->state("t");
  ASSERT_EQ(state.size(), 4u);
  EXPECT_EQ(state[0].name, "t.slots");
  EXPECT_EQ(state[0].tensor.to_vector<std::int32_t>(), (Slots{4, 9, 1}));
  EXPECT_EQ(state[1].tensor.shape(), (Shape{3, D}));
  EXPECT_EQ(state[2].tensor.shape(), (Shape{3, D}));
  EXPECT_EQ(state[3].name, "t.steps");
  EXPECT_EQ(state[3].tensor.to_vector<std::int32_t>(), (Slots{2, 1, 1}));
}

TEST(RowAdamOptimizer, GrowsPastItsFirstCapacity) {
  constexpr std::int64_t kMany = 700;
  const Tensor values = random_normal({kMany, D}, 1), before = values.clone();
  const auto optimizer = make_row_adam({});
  std::vector<Tensor> gradients;
  for (std::int32_t step = 0; step < 7; ++step) {
    Slots slots = {0};
    for (std::int32_t i = 1; i < 100; ++i) slots.push_back(step * 100 + i);
    const RowGradient rows = rows_of(slots, static_cast<std::uint64_t>(step) + 5);
    gradients.push_back(row(rows.gradient, 0).clone());
    optimizer->step(values, rows, 0.01, 0.0);
  }
  EXPECT_EQ(optimizer->state("t")[0].tensor.size(0), 1 + 7 * 99);
  EXPECT_LT(
      relative_error(row(values, 0), to_doubles(dense_adam(row(before, 0), gradients, 0.01, {}))),
      1e-6);
}

TEST(RowAdamOptimizer, ResumesFromItsState) {
  const TemporaryFolder folder;
  const Tensor straight = random_normal({kSlots, D}, 1), resumed = straight.clone();
  const auto run = [](RowOptimizer& optimizer, const Tensor& values, int from, int to) {
    for (int step = from; step < to; ++step) {
      optimizer.step(values, rows_of({step, step + 2, 20}, static_cast<std::uint64_t>(step)), 0.01,
                     1.0);
    }
  };
  const auto whole = make_row_adam({}), before = make_row_adam({}), after = make_row_adam({});
  run(*whole, straight, 0, 8);
  run(*before, resumed, 0, 4);
  write_safetensors(folder / "state", before->state("memory.0"));
  // Whatever the optimizer held before must not show through.
  run(*after, random_normal({kSlots, D}, 2), 5, 15);
  after->load_state(read_safetensors(folder / "state"), "memory.0");
  run(*after, resumed, 4, 8);
  EXPECT_TRUE(equal_bits(straight, resumed));
  const auto expected = whole->state("x"), actual = after->state("x");
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_TRUE(equal_bits(actual[i].tensor, expected[i].tensor)) << expected[i].name;
  }
  after->load_state(read_safetensors(folder / "state"), "absent");
  EXPECT_TRUE(after->state("x").empty());
}

TEST(RowSgdOptimizer, StepsAndClips) {
  const Tensor values = random_normal({kSlots, D}, 1), before = values.clone();
  const auto optimizer = make_row_sgd();
  for (const double max_norm : {0.0, 0.5, 1000.0}) {
    values.copy_from(before);
    const RowGradient rows = rows_of({3, 8, 39}, 4);
    const std::vector<double> gradient = to_doubles(rows.gradient);
    double norm = 0.0;
    for (const double g : gradient) norm += g * g;
    norm = std::sqrt(norm);
    ASSERT_GT(norm, 1.0);
    const double factor = max_norm == 0.5 ? max_norm / (norm + 1e-6) : 1.0;
    optimizer->step(values, rows, 0.1, max_norm);
    std::vector<double> expected = to_doubles(before);
    for (std::size_t i = 0; i < 3; ++i) {
      const std::size_t slot = std::vector<std::size_t>{3, 8, 39}[i];
      for (std::size_t d = 0; d < D; ++d) {
        expected[slot * D + d] -= 0.1 * factor * gradient[i * D + d];
      }
    }
    EXPECT_LT(relative_error(values, expected), 1e-7) << max_norm;
    EXPECT_TRUE(equal_bits(row(values, 5), row(before, 5)));
  }
  EXPECT_TRUE(optimizer->state("t").empty());
}

}  // namespace
}  // namespace slotwise::testing
