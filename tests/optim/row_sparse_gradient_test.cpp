// A row-sparse table trains as a dense one does: same gradients, same AdamW steps, same resume.
#include <gtest/gtest.h>

#include "core/random.h"
#include "layers/functional/weighted_bag.h"
#include "optim/optimizer.h"
#include "tests/kernels/memory_test_support.h"
#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

constexpr std::int64_t kRows = 400, kWidth = 12;

Variable table(bool row_sparse) {
  const Variable out(random_normal({kRows, kWidth}, 1), true);
  if (row_sparse) out.set_row_sparse();
  return out;
}

void read(const Variable& values, std::uint64_t seed) {
  const Tensor slots = random_integers({9, 5}, seed, kRows);
  const Variable y = weighted_bag(values, slots, Variable(random_normal({9, 5}, seed + 1)));
  backward(y, random_normal({9, kWidth}, seed + 2));
}

TEST(RowSparseGradient, IsTheDenseOneWhereAsked) {
  const Variable sparse = table(true), dense = table(false);
  for (const std::uint64_t step : {10, 20}) {  // the second step finds a used buffer
    for (const Variable& values : {sparse, dense}) {
      values.clear_grad();
      EXPECT_FALSE(values.has_grad());
      read(values, step);
      read(values, step + 5);
    }
    const TouchedRows rows = sparse.row_grad();
    ASSERT_TRUE(rows.touched.defined());
    std::int64_t touched = 0;
    for (const std::uint8_t flag : rows.touched.span<std::uint8_t>()) touched += flag;
    EXPECT_GT(touched, 40);
    EXPECT_LE(touched, 90);
    EXPECT_TRUE(equal_bits(sparse.grad(), dense.grad()));
    EXPECT_FALSE(sparse.row_grad().touched.defined());  // filled up by now
    read(sparse, step + 7);                             // and added to as a dense one
    read(dense, step + 7);
    EXPECT_TRUE(equal_bits(sparse.grad(), dense.grad()));
  }
}

TEST(RowSparseGradient, NeedsALeafWithRows) {
  EXPECT_THROW(Variable(Tensor::zeros({3})).set_row_sparse(), Error);
}

std::unique_ptr<Optimizer> optimizer_of(const Variable& values, double max_norm) {
  return make_adamw({{.name = "values", .variable = values}}, {}, max_norm);
}

TEST(RowSparseGradient, AdamWMovesTheTableAlike) {
  for (const double max_norm : {0.0, 0.5}) {
    const Variable sparse = table(true), dense = table(false);
    const auto first = optimizer_of(sparse, max_norm), second = optimizer_of(dense, max_norm);
    for (std::uint64_t step = 0; step < 8; ++step) {
      first->clear_gradients();
      second->clear_gradients();
      read(sparse, 100 * step);
      read(dense, 100 * step);
      EXPECT_NEAR(first->step(0.01), second->step(0.01), 1e-5);
    }
    // The norm, and with it the clip factor, is summed in another order.
    if (max_norm == 0.0) {
      EXPECT_TRUE(equal_bits(sparse.value(), dense.value()));
    }
    EXPECT_LT(relative_error(sparse.value(), to_doubles(dense.value())), 1e-6);
  }
}

TEST(RowSparseGradient, SgdSeesTheWholeGradient) {
  const Variable sparse = table(true), dense = table(false);
  for (const Variable& values : {sparse, dense}) {
    const auto optimizer = make_sgd({{.name = "values", .variable = values}}, 0.9, 0.0);
    for (std::uint64_t step = 0; step < 4; ++step) {
      optimizer->clear_gradients();
      read(values, 100 * step);
      optimizer->step(0.1);
    }
  }
  EXPECT_TRUE(equal_bits(sparse.value(), dense.value()));
}

TEST(RowSparseGradient, LoadedMomentsMoveRowsThatNoStepHasTouchedSince) {
  const Variable straight = table(true), resumed = table(true);
  const auto first = optimizer_of(straight, 0.0);
  read(straight, 10);
  first->step(0.01);
  resumed.value().copy_from(straight.value());
  const auto second = optimizer_of(resumed, 0.0);
  TensorFile file;
  for (const NamedTensor& entry : first->state())
    file.tensors.push_back({entry.name, entry.tensor.clone()});
  second->load_state(file);
  second->set_steps(1);
  for (const auto& [values, optimizer] :
       {std::pair{straight, first.get()}, {resumed, second.get()}}) {
    optimizer->clear_gradients();
    read(values, 50);
    optimizer->step(0.01);
  }
  EXPECT_TRUE(equal_bits(straight.value(), resumed.value()));
}

}  // namespace
}  // namespace slotwise::testing
