// Steps on a device: they wait for it once, give the CPU's bits, are left out where a gradient is
// not finite, and say where a value that is not finite arose.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/device_memory.h"
#include "optim/optimizer.h"
#include "tests/data/temporary_folder.h"
#include "tests/kernels/memory_test_support.h"
#include "tests/memory/tiny_memory_model.h"
#include "train/check_numerics.h"
#include "train/finetune_method.h"
#include "train/skipped_steps.h"

namespace slotwise::testing {
namespace {

constexpr Device kEmulated{DeviceType::emulated};

TokenBatch some_batch(std::uint64_t seed) {
  std::vector<std::vector<std::int32_t>> rows;
  for (std::uint64_t row = 0; row < 4; ++row) {
    rows.push_back(random_integers({7}, 10 * seed + row, 23).to_vector<std::int32_t>());
  }
  return make_batch(rows, 0);
}

std::unique_ptr<RowOptimizer> row_adam() {
  return make_row_adam({});
}

std::unique_ptr<FinetuneMethod> sparse_method(MemoryModel& model, std::int64_t rows,
                                              std::unique_ptr<RowOptimizer> (*optimizer)()) {
  const TableBackground background{random_integers({36}, 3, 5), 4};
  return sparse_memory_finetuning(model, {.selector = tf_idf_selector({background}, model.device()),
                                          .make_row_optimizer = optimizer,
                                          .rows = rows,
                                          .micro_batch = 2,
                                          .clip = 0.5});
}

std::unique_ptr<FinetuneMethod> dense_method(MemoryModel& model) {
  return full_finetuning(model, {.optimizer = {.clip = 1.0}, .micro_batch = 2});
}

TEST(DeviceStep, WaitsOnceForTheLog) {
  const auto waits = [](MemoryModel& model, FinetuneMethod& method) {
    method.step(some_batch(0), 0, 1e-2);
    const std::int64_t before = copies_to_host();
    const MethodStep done = method.step(some_batch(1), 1, 1e-2);
    EXPECT_GT(done.gradient_norm, 0.0);
    EXPECT_GT(model.parameters().count(), 0);
    return copies_to_host() - before;
  };
  MemoryModel dense(tiny_memory_config(), 1, kEmulated);
  EXPECT_EQ(waits(dense, *dense_method(dense)), 1);
  for (const auto optimizer : {row_adam, make_row_sgd}) {
    MemoryModel model(tiny_memory_config(), 1, kEmulated);
    // The second copy follows the first: the number of slots that were read.
    EXPECT_EQ(waits(model, *sparse_method(model, 5, optimizer)), 2);
  }
}

TEST(DeviceStep, SparseStepsGiveTheBitsOfTheCpu) {
  for (const auto optimizer : {row_adam, make_row_sgd}) {
    for (const std::int64_t rows : {3, 30}) {  // fewer, and more, than a batch reads
      SCOPED_TRACE(rows);
      MemoryModel here(tiny_memory_config({0, 2}, {{0, 2}}), 1, {});
      MemoryModel there(tiny_memory_config({0, 2}, {{0, 2}}), 1, kEmulated);
      const auto on_cpu = sparse_method(here, rows, optimizer);
      const auto on_device = sparse_method(there, rows, optimizer);
      for (std::int64_t step = 0; step < 6; ++step) {
        const TokenBatch batch = some_batch(static_cast<std::uint64_t>(step));
        const MethodStep a = on_cpu->step(batch, step, 0.1), b = on_device->step(batch, step, 0.1);
        EXPECT_EQ(a.loss, b.loss);
        EXPECT_EQ(a.gradient_norm, b.gradient_norm);
        EXPECT_EQ(a.accessed_rows, b.accessed_rows);
        EXPECT_EQ(a.selected_rows, b.selected_rows);
        EXPECT_EQ(a.trainable, b.trainable);
      }
      EXPECT_EQ(on_cpu->rows_touched(), on_device->rows_touched());
      const Tensor expected = here.tables()[0].values.value();
      EXPECT_TRUE(equal_bits(there.tables()[0].values.value().to(Device{}), expected));
      const auto a = on_cpu->optimizer_state(), b = on_device->optimizer_state();
      ASSERT_EQ(a.size(), b.size());
      for (std::size_t i = 0; i < a.size(); ++i) {
        EXPECT_TRUE(equal_bits(b[i].tensor.to(Device{}), a[i].tensor)) << a[i].name;
      }
    }
  }
}

// One NaN in one weight that only the gradient of another one sees.
TEST(DeviceStep, IsLeftOutWhereAGradientIsNotFinite) {
  const float broken[] = {std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity()};
  for (const float value : broken) {
    for (const double max_norm : {0.0, 1.0}) {
      const Variable a(random_normal({9}, 1), true), b(random_normal({5}, 2), true);
      const Tensor before_a = a.value().clone(), before_b = b.value().clone();
      const auto optimizer = make_adamw({{"a", a}, {"b", b, 1.0, 0.1, 1}}, {}, max_norm);
      const auto set_gradients = [&](float in_b) {
        optimizer->clear_gradients();
        Tensor gradient = random_normal({5}, 3);
        gradient.data<float>()[3] = in_b;
        const auto give = [](const Variable& x, const Tensor& g) {
          backward(record("give", {x}, x.value().clone(),
                          [g](BackwardContext& context) { context.give_input_grad(0, g); }),
                   g);
        };
        give(a, random_normal({9}, 4));
        give(b, gradient);
      };
      set_gradients(value);
      EXPECT_FALSE(std::isfinite(optimizer->step(0.1)));
      EXPECT_TRUE(equal_bits(a.value(), before_a));
      EXPECT_TRUE(equal_bits(b.value(), before_b));
      for (const NamedTensor& state : optimizer->state()) {
        for (const float moment : state.tensor.to_vector<float>()) EXPECT_EQ(moment, 0.0f);
      }
      set_gradients(0.5f);
      EXPECT_TRUE(std::isfinite(optimizer->step(0.1)));
      EXPECT_FALSE(equal_bits(a.value(), before_a));
    }
  }
}

TEST(DeviceStep, RowsAreLeftOutToo) {
  const Tensor values = random_normal({8, 3}, 1), before = values.clone();
  for (const auto make : {row_adam, make_row_sgd}) {
    const auto optimizer = make();
    const RowGradient rows{Tensor::from<std::int32_t>({2, 5}, {2}), random_normal({2, 3}, 2)};
    rows.gradient.data<float>()[4] = NAN;
    optimizer->step(values, rows, 0.1, 1.0);
    EXPECT_TRUE(equal_bits(values, before));
  }
}

TEST(SkippedSteps, AreCountedUntilTheRunHasDiverged) {
  const TemporaryFolder folder;
  const RunFolder run({.out = folder / "run"}, nlohmann::json::object());
  SkippedSteps skipped(2);
  EXPECT_FALSE(skipped.count(run, 1, 0.5, 1.0));
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(skipped.count(run, 2 + i, 0.5, INFINITY));
  EXPECT_EQ(skipped.all(), 10);
  EXPECT_EQ(skipped.text(), "step 9 left out: its gradient norm is inf; 10 so far");
  EXPECT_NE(user_error_of([&] { skipped.count(run, 10, 0.5, NAN); }).find("diverged"),
            std::string::npos);
  EXPECT_FALSE(skipped.count(run, 11, 0.5, 1.0));
  EXPECT_TRUE(skipped.count(run, 12, 0.5, NAN));
  EXPECT_NE(user_error_of([&] { skipped.count(run, 13, NAN, 1.0); }).find("diverged"),
            std::string::npos);
}

TEST(CheckNumerics, NamesTheFirstOpAndItsLayer) {
  MemoryModel model(tiny_memory_config(), 1, {});
  const CheckNumerics on(true);
  train_on(model, tiny_tokens(2, 7, 1), 10);  // all is well
  const Tensor weight = parameter_of(model, "model.layers.2.self_attn.v_proj.weight");
  weight.data<float>()[3] = NAN;
  const std::string error = user_error_of([&] { train_on(model, tiny_tokens(2, 7, 1), 10); });
  EXPECT_NE(error.find("the forward of op 'linear' at layer 2 > attention holds"),
            std::string::npos)
      << error;
}

TEST(CheckNumerics, NamesABackwardToo) {
  const CheckNumerics on(true);
  const Variable x(random_normal({4}, 1), true);
  const Variable y = record("half", {x}, x.value().clone(), [](BackwardContext& context) {
    const Tensor wrong = context.output_grad().clone();
    wrong.data<float>()[1] = INFINITY;
    context.give_input_grad(0, wrong);
  });
  EXPECT_NE(
      user_error_of([&] { backward(y); }).find("the backward of op 'half' at top holds 1 of 4"),
      std::string::npos);
}

TEST(CheckNumerics, IsOffOtherwise) {
  { const CheckNumerics on(true); }
  const Variable x(Tensor::from<float>({NAN}, {1}), true);
  backward(record("same", {x}, x.value().clone(), [](BackwardContext& context) {
    context.give_input_grad(0, context.take_output_grad());
  }));
  EXPECT_TRUE(x.has_grad());
}

}  // namespace
}  // namespace slotwise::testing
