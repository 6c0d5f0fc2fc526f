// Row steps against double precision; every other row keeps its bits.
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/row_optimizer.h"
#include "tests/kernels/memory_test_support.h"
#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

using Integers = std::vector<std::int32_t>;

std::size_t at(std::int64_t index) {
  return static_cast<std::size_t>(index);
}

Tensor integers(const Integers& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())});
}

// One row's Adam as PyTorch states it, in double precision.
struct ReferenceAdam {
  std::vector<double> value, first, second;
  int steps = 0;

  void step(const float* gradient, double rate, double beta1, double beta2, double epsilon) {
    ++steps;
    for (std::size_t d = 0; d < value.size(); ++d) {
      const double g = static_cast<double>(gradient[d]);
      first[d] = beta1 * first[d] + (1 - beta1) * g;
      second[d] = beta2 * second[d] + (1 - beta2) * g * g;
      const double root = std::sqrt(second[d] / (1 - std::pow(beta2, steps)));
      value[d] -= rate * (first[d] / (1 - std::pow(beta1, steps))) / (root + epsilon);
    }
  }
};

TEST(RowAdam, CorrectsBiasByTheRowsOwnSteps) {
  for (const std::int64_t D : {1, 7, 64, 1000}) {
    const std::int64_t N = 20, capacity = 4;
    const Tensor values = random_normal({N, D}, 1), before = values.clone();
    const Tensor first = Tensor::zeros({capacity, D}), second = Tensor::zeros({capacity, D});
    const Tensor steps = Tensor::zeros({capacity}, DType::i32);
    const Integers slot_of_state = {13, 4, 19, 0};
    std::vector<ReferenceAdam> reference;
    for (const std::int32_t slot : slot_of_state) {
      ReferenceAdam row;
      for (std::int64_t d = 0; d < D; ++d) {
        row.value.push_back(static_cast<double>(values.data<float>()[slot * D + d]));
      }
      row.first.assign(at(D), 0.0);
      row.second.assign(at(D), 0.0);
      reference.push_back(row);
    }
    // State 0 is stepped five times, 1 three times, 2 once, 3 never.
    const std::vector<Integers> batches = {{0, 1}, {1, 0}, {0}, {2, 0, 1}, {0}, {}};
    std::uint64_t seed = 100;
    for (const Integers& states : batches) {
      Integers rows;
      for (const std::int32_t state : states) rows.push_back(slot_of_state[at(state)]);
      const Tensor gradient =
          random_normal({static_cast<std::int64_t>(rows.size()), D}, seed++, 0.1f);
      kernels::row_adam({.values = values,
                         .first_moment = first,
                         .second_moment = second,
                         .steps = steps,
                         .rows = integers(rows),
                         .state_row = integers(states),
                         .gradient = gradient,
                         .learning_rate = 0.01f,
                         .beta1 = 0.8f,
                         .beta2 = 0.95f,
                         .epsilon = 1e-6f});
      for (std::size_t i = 0; i < states.size(); ++i) {
        reference[at(states[i])].step(gradient.data<float>() + static_cast<std::int64_t>(i) * D,
                                      0.01f, 0.8f, 0.95f, 1e-6f);
      }
    }
    EXPECT_EQ(steps.to_vector<std::int32_t>(), (Integers{5, 3, 1, 0}));
    for (std::int64_t state = 0; state < capacity; ++state) {
      const ReferenceAdam& row = reference[at(state)];
      const std::int64_t slot = slot_of_state[at(state)];
      EXPECT_LT(relative_error(values.slice(slot, slot + 1), row.value), 5e-7);
      EXPECT_LT(relative_error(first.slice(state, state + 1), row.first), 1e-6);
      EXPECT_LT(relative_error(second.slice(state, state + 1), row.second), 1e-6);
    }
    for (std::int64_t slot = 0; slot < N; ++slot) {
      const bool stepped = slot == 13 || slot == 4 || slot == 19;
      EXPECT_EQ(equal_bits(values.slice(slot, slot + 1), before.slice(slot, slot + 1)), !stepped);
    }
  }
}

TEST(RowAdam, FirstStepMovesByTheLearningRate) {
  const Tensor values = Tensor::zeros({2, 3});
  kernels::row_adam({.values = values,
                     .first_moment = Tensor::zeros({1, 3}),
                     .second_moment = Tensor::zeros({1, 3}),
                     .steps = Tensor::zeros({1}, DType::i32),
                     .rows = integers({1}),
                     .state_row = integers({0}),
                     .gradient = Tensor::from<float>({5.0f, -0.01f, 1.0f}, {1, 3}),
                     .learning_rate = 0.5f});
  const std::vector<float> expected = {0, 0, 0, -0.5f, 0.5f, -0.5f};
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(values.data<float>()[i], expected[i], 1e-6f) << i;
  }
}

TEST(RowSgd, StepsTheListedRowsOnly) {
  const Tensor values = random_normal({6, 37}, 3), before = values.clone();
  const Tensor gradient = random_normal({2, 37}, 4);
  kernels::row_sgd({values, integers({5, 2}), gradient, 0.25f});
  for (std::int64_t row = 0; row < 6; ++row) {
    const float* step = row == 5 ? gradient.data<float>() : gradient.data<float>() + 37;
    for (std::int64_t d = 0; d < 37; ++d) {
      const float old = before.data<float>()[row * 37 + d];
      const float expected = row == 5 || row == 2 ? old - 0.25f * step[d] : old;
      ASSERT_NEAR(values.data<float>()[row * 37 + d], expected, row == 5 || row == 2 ? 1e-6f : 0);
    }
  }
}

TEST(RowOptimizer, SameBitsOnAnyThreads) {
  EXPECT_TRUE(same_bits_on_any_threads([] {
    const Tensor values = random_normal({300, 100}, 1), first = random_normal({200, 100}, 2);
    const Tensor second = Tensor::zeros({200, 100}), steps = Tensor::zeros({200}, DType::i32);
    Integers rows, states;
    for (std::int32_t i = 0; i < 200; ++i) {
      rows.push_back(299 - i);
      states.push_back((i * 7) % 200);
    }
    const Tensor gradient = random_normal({200, 100}, 5);
    kernels::row_adam(
        {values, first, second, steps, integers(rows), integers(states), gradient, 0.1f});
    kernels::row_sgd({values, integers(rows), gradient, 0.1f});
    return std::vector<Tensor>{values, first, second, steps};
  }));
}

TEST(RowOptimizer, RefusesBfloat16Rows) {
  const Tensor values = Tensor::zeros({2, 3}, DType::bf16);
  try {
    kernels::row_sgd({values, integers({1}), Tensor::zeros({1, 3}), 0.1f});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("keep the rows that are updated in f32"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace slotwise::testing
