// Gradients that hold touched rows only: every op that knows of them gives what the dense op gives
// on zeros, and never reads or writes the other rows (they hold NaN here).
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/random.h"
#include "kernels/adamw.h"
#include "kernels/elementwise.h"
#include "kernels/weighted_bag.h"
#include "tests/kernels/memory_test_support.h"
#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

constexpr float kNothing = std::numeric_limits<float>::quiet_NaN();

Tensor flags(std::int64_t rows, std::uint64_t seed, std::uint64_t one_in) {
  std::vector<std::uint8_t> out;
  Random random(seed, "flags");
  for (std::int64_t row = 0; row < rows; ++row) out.push_back(random.below(one_in) == 0 ? 1 : 0);
  return Tensor::from(out, {rows});
}

// x, with `value` in the rows that are not touched.
Tensor filled(const Tensor& x, const Tensor& touched, float value) {
  const Tensor out = x.clone();
  const std::int64_t D = x.size(1);
  for (std::int64_t row = 0; row < x.size(0); ++row) {
    if (touched.data<std::uint8_t>()[row] != 0) continue;
    std::fill_n(out.data<float>() + row * D, D, value);
  }
  return out;
}

struct Table {
  Tensor parameter, first, second;
};

void step(const Table& table, const Tensor& gradient, const Tensor& touched, const Tensor& live,
          std::int64_t number) {
  kernels::adamw({.parameter = table.parameter,
                  .first_moment = table.first,
                  .second_moment = table.second,
                  .gradient = gradient,
                  .touched = touched,
                  .live = live,
                  .gradient_scale = Tensor::from<float>({0.7f}, {1}),
                  .learning_rate = 0.05f,
                  .step = number});
}

class TouchedRowShapes : public ::testing::TestWithParam<std::pair<std::int64_t, std::int64_t>> {};

TEST_P(TouchedRowShapes, AdamWStepsAreTheDenseOnesBitForBit) {
  const auto [rows, D] = GetParam();
  const Tensor start = random_normal({rows, D}, 1);
  const auto zeros = [&] { return Tensor::zeros({rows, D}); };
  const Table dense{start.clone(), zeros(), zeros()}, table{start.clone(), zeros(), zeros()};
  const Tensor live = Tensor::zeros({rows}, DType::u8);
  for (std::int64_t number = 1; number <= 6; ++number) {
    const auto seed = static_cast<std::uint64_t>(number);
    const Tensor gradient = random_normal({rows, D}, seed + 10);
    const Tensor touched = flags(rows, seed, 3);
    step(dense, filled(gradient, touched, 0.0f), {}, {}, number);
    step(table, filled(gradient, touched, kNothing), touched, live, number);
    EXPECT_TRUE(equal_bits(table.parameter, dense.parameter)) << number;
    EXPECT_TRUE(equal_bits(table.first, dense.first)) << number;
    EXPECT_TRUE(equal_bits(table.second, dense.second)) << number;
  }
}

TEST_P(TouchedRowShapes, TheNormCountsTouchedRows) {
  const auto [rows, D] = GetParam();
  const Tensor gradient = random_normal({rows, D}, 3), touched = flags(rows, 4, 2);
  const Tensor sparse = filled(gradient, touched, kNothing);
  const Tensor dense = filled(gradient, touched, 0.0f);
  const Tensor expected = Tensor::empty({1}), out = Tensor::empty({1});
  kernels::dot_product({.out = {expected}, .a = dense, .b = dense});
  kernels::dot_product({.out = {out}, .a = sparse, .b = sparse, .rows = touched});
  EXPECT_LT(relative_error(out, to_doubles(expected)), 1e-6);
}

TEST_P(TouchedRowShapes, BagsReachTheirRowsAndMarkThem) {
  const auto [rows, D] = GetParam();
  const Tensor dense = Tensor::zeros({rows, D}), sparse = Tensor::empty({rows, D});
  std::fill_n(sparse.data<float>(), sparse.elements(), kNothing);
  const Tensor touched = Tensor::zeros({rows}, DType::u8);
  // Slot 0 is read more often than one piece of a row's sum has terms.
  for (const std::int64_t tokens : {3, 700}) {
    const auto seed = static_cast<std::uint64_t>(tokens);
    const Tensor slots = random_integers({tokens, 4}, seed, static_cast<std::int32_t>(rows));
    for (std::int64_t i = 0; i < tokens * 4; i += 2) slots.data<std::int32_t>()[i] = 0;
    const Tensor weights = random_normal({tokens, 4}, seed + 1);
    const Tensor dy = random_normal({tokens, D}, seed + 2);
    kernels::weighted_bag_backward_values(
        {.dvalues = {dense, true}, .dy = dy, .slots = slots, .weights = weights});
    kernels::weighted_bag_backward_values({.dvalues = {sparse, true},
                                           .dy = dy,
                                           .slots = slots,
                                           .weights = weights,
                                           .touched = touched});
    for (const std::int32_t slot : slots.span<std::int32_t>()) {
      ASSERT_EQ(touched.data<std::uint8_t>()[slot], 1);
    }
    EXPECT_LT(relative_error(filled(sparse, touched, 0.0f), to_doubles(dense)), 1e-6);
  }
  for (std::int64_t row = 0; row < rows; ++row) {
    const bool nothing = std::isnan(sparse.data<float>()[row * D]);
    EXPECT_EQ(nothing, touched.data<std::uint8_t>()[row] == 0) << row;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, TouchedRowShapes,
                         ::testing::Values(std::pair{1, 1}, std::pair{7, 5}, std::pair{300, 16},
                                           std::pair{5000, 3}, std::pair{2000, 64}));

TEST(TouchedRows, NeedATableWithoutDecay) {
  const Tensor table = Tensor::zeros({4, 2}), rows = Tensor::zeros({4}, DType::u8);
  kernels::AdamW args{.parameter = table,
                      .first_moment = table,
                      .second_moment = table,
                      .gradient = table,
                      .touched = rows,
                      .live = rows,
                      .weight_decay = 0.1f};
  EXPECT_THROW(kernels::adamw(args), Error);
  args.weight_decay = 0.0f;
  args.live = {};
  EXPECT_THROW(kernels::adamw(args), Error);
}

}  // namespace
}  // namespace slotwise::testing
