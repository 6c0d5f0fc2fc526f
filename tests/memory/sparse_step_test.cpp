// The sparse step: its rows carry exactly the dense gradient, and nothing else ever moves.
#include "memory/sparse_step.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "optim/row_optimizer.h"
#include "tests/data/temporary_folder.h"
#include "tests/kernels/memory_test_support.h"
#include "tests/memory/tiny_memory_model.h"

namespace slotwise::testing {
namespace {

using Slots = std::vector<std::int32_t>;

std::vector<ModelConfig> models() {
  std::vector<ModelConfig> all = {tiny_memory_config(), tiny_memory_config({0, 2}, {{0, 2}}),
                                  tiny_memory_config({0, 1, 2}, {{0, 2}, {1}}),
                                  tiny_memory_config({1, 2}, {{1, 2}})};
  all[1].memory.mode = MemoryMode::add;
  all[3].memory.gate = false;
  return all;
}

// Gradient of every table by the dense way, over the same micro-batches.
std::vector<Tensor> dense_gradients(MemoryModel& model) {
  model.parameters().freeze_all();
  for (const ValueTable& table : model.tables()) table.values.set_requires_grad(true);
  train_on(model, tiny_tokens(2, 7, 1), 10);
  train_on(model, tiny_tokens(1, 9, 2), 11);
  std::vector<Tensor> gradients;
  for (const ValueTable& table : model.tables()) gradients.push_back(table.values.grad().clone());
  model.parameters().freeze_all();
  return gradients;
}

std::vector<RowGradient> sparse_gradients(MemoryModel& model, SparseStep& step) {
  train_on(model, tiny_tokens(2, 7, 1), 10);
  train_on(model, tiny_tokens(1, 9, 2), 11);
  return step.finish(0);
}

void expect_rows_of(const std::vector<RowGradient>& sparse, const std::vector<Tensor>& dense) {
  ASSERT_EQ(sparse.size(), dense.size());
  for (std::size_t t = 0; t < sparse.size(); ++t) {
    const auto rows = sparse[t].rows.to_vector<std::int32_t>();
    ASSERT_FALSE(rows.empty());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto row = static_cast<std::int64_t>(i);
      EXPECT_LT(relative_error(sparse[t].gradient.slice(row, row + 1),
                               to_doubles(dense[t].slice(rows[i], rows[i] + 1))),
                2e-6)
          << "table " << t << " slot " << rows[i];
    }
  }
}

TEST(SparseStep, RowsCarryTheDenseGradient) {
  for (const ModelConfig& config : models()) {
    MemoryModel model(config, 1, {});
    const std::vector<Tensor> dense = dense_gradients(model);
    SparseStep step(model, tf_selector(), 8);
    const auto sparse = sparse_gradients(model, step);
    expect_rows_of(sparse, dense);
    for (const RowGradient& rows : sparse) EXPECT_EQ(rows.rows.elements(), 8);
    for (const Parameter& parameter : model.parameters().all()) {
      EXPECT_FALSE(parameter.variable.has_grad()) << parameter.name;
    }
  }
}

TEST(SparseStep, AllRowsTogetherAreTheWholeGradient) {
  for (const ModelConfig& config : models()) {
    MemoryModel model(config, 1, {});
    const std::vector<Tensor> dense = dense_gradients(model);
    SparseStep step(model, all_selector(), 1);
    const auto sparse = sparse_gradients(model, step);
    expect_rows_of(sparse, dense);
    for (std::size_t t = 0; t < dense.size(); ++t) {
      const auto listed = sparse[t].rows.to_vector<std::int32_t>();
      EXPECT_EQ(step.accessed().to_vector<std::int32_t>()[t],
                static_cast<std::int32_t>(listed.size()));
      const std::set<std::int32_t> rows(listed.begin(), listed.end());
      for (std::int32_t row = 0; row < 36; ++row) {
        if (rows.count(row) > 0) continue;
        for (const float g : dense[t].slice(row, row + 1).to_vector<float>()) EXPECT_EQ(g, 0.0f);
      }
    }
  }
}

TEST(SparseStep, CheckpointingChangesNeitherCountsNorGradients) {
  for (const ModelConfig& config : models()) {
    MemoryModel model(config, 1, {});
    model.parameters().freeze_all();
    SparseStep step(model, tf_selector(), 8);
    const auto counts_of_a_batch = [&] {
      train_on(model, tiny_tokens(2, 7, 1), 10);
      const Slots counts = step.counter(0).counts().to_vector<std::int32_t>();
      step.finish(0);
      return counts;
    };
    const Slots counts = counts_of_a_batch();
    const auto plain = sparse_gradients(model, step);
    model.decoder().set_activation_checkpointing(true);
    EXPECT_EQ(counts_of_a_batch(), counts);
    const auto again = sparse_gradients(model, step);
    for (std::size_t t = 0; t < plain.size(); ++t) {
      EXPECT_TRUE(equal_bits(again[t].rows, plain[t].rows));
      EXPECT_LT(relative_error(again[t].gradient, to_doubles(plain[t].gradient)), 1e-5);
    }
  }
}

TEST(SparseStep, CountsWholeBatchesAndStartsAfreshAfterEach) {
  MemoryModel model(tiny_memory_config({0, 2}, {{0, 2}}), 1, {});
  model.parameters().freeze_all();
  SparseStep step(model, tf_selector(), 8);
  train_on(model, tiny_tokens(2, 7, 1), 10);
  train_on(model, tiny_tokens(1, 9, 2), 11);
  std::int64_t total = 0;
  for (const std::int32_t count : step.counter(0).counts().to_vector<std::int32_t>())
    total += count;
  EXPECT_EQ(total, 23 * 2 * 6);  // tokens, layers, heads * k
  const auto first = step.finish(0);
  EXPECT_EQ(step.counter(0).touched_count(), 0);
  const auto second = sparse_gradients(model, step);
  EXPECT_TRUE(equal_bits(first[0].rows, second[0].rows));
  EXPECT_TRUE(equal_bits(first[0].gradient, second[0].gradient));
  EXPECT_EQ(step.finish(1)[0].rows.elements(), 0);  // nothing was read since
}

TEST(SparseStep, AStepKnowsNothingOfTheRowsOfAnother) {
  MemoryModel model(tiny_memory_config(), 1, {});
  model.parameters().freeze_all();
  const auto gradients = [&](SparseStep& step, std::uint64_t batch) {
    train_on(model, tiny_tokens(2, 7, batch), 10);
    return step.finish(0)[0];
  };
  std::vector<RowGradient> fresh, running;
  for (std::uint64_t batch = 0; batch < 4; ++batch) {
    SparseStep step(model, tf_selector(), 5);
    fresh.push_back(gradients(step, batch));
  }
  SparseStep step(model, tf_selector(), 5);
  for (std::uint64_t batch = 0; batch < 4; ++batch) running.push_back(gradients(step, batch));
  EXPECT_FALSE(equal_bits(running[0].rows, running[1].rows));
  for (std::size_t batch = 0; batch < 4; ++batch) {
    EXPECT_TRUE(equal_bits(running[batch].rows, fresh[batch].rows));
    EXPECT_TRUE(equal_bits(running[batch].gradient, fresh[batch].gradient));
  }
}

TEST(SparseStep, EvaluationBetweenMicroBatchesDoesNotCount) {
  MemoryModel model(tiny_memory_config(), 1, {});
  model.parameters().freeze_all();
  SparseStep step(model, tf_selector(), 8);
  const auto plain = sparse_gradients(model, step);
  train_on(model, tiny_tokens(2, 7, 1), 10);
  const MemoryHooks hooks = model.hooks();
  model.hooks() = {};
  forward_only(model, tiny_tokens(4, 20, 9));
  model.hooks() = hooks;
  train_on(model, tiny_tokens(1, 9, 2), 11);
  const auto interrupted = step.finish(0);
  EXPECT_TRUE(equal_bits(interrupted[0].rows, plain[0].rows));
  EXPECT_TRUE(equal_bits(interrupted[0].gradient, plain[0].gradient));
}

TEST(SparseStep, LetsTheModelGo) {
  MemoryModel model(tiny_memory_config(), 1, {});
  { const SparseStep step(model, tf_selector(), 8); }
  EXPECT_FALSE(model.hooks().on_access);
  EXPECT_FALSE(model.hooks().keep);
  ModelConfig config = tiny_memory_config();
  config.memory = {};
  MemoryModel plain(config, 1, {});
  EXPECT_THROW(SparseStep(plain, tf_selector(), 8), UserError);
}

bool same_row(const Tensor& a, const Tensor& b, std::int64_t row) {
  return equal_bits(a.slice(row, row + 1), b.slice(row, row + 1));
}

// 50 steps; every byte outside the selected rows must be what it was.
void expect_only_selected_rows_move(RowOptimizer& optimizer, double learning_rate) {
  const ModelConfig config = tiny_memory_config({0, 2}, {{0, 2}});
  MemoryModel model(config, 1, {});
  model.parameters().freeze_all();
  std::vector<Tensor> before;
  for (const Parameter& parameter : model.parameters().all()) {
    before.push_back(parameter.variable.value().clone());
  }
  const Tensor df = random_integers({36}, 3, 5);
  SparseStep step(model, tf_idf_selector({{df, 4}}, {}), 3);
  const Tensor values = model.tables()[0].values.value();
  std::set<std::int32_t> selected;
  double first = 0.0, last = 0.0;
  for (std::int64_t i = 0; i < 50; ++i) {
    last = train_on(model, tiny_tokens(2, 4, 1), 10);
    if (i == 0) first = last;
    const RowGradient rows = step.finish(i)[0];
    for (const std::int32_t slot : rows.rows.to_vector<std::int32_t>()) selected.insert(slot);
    optimizer.step(values, rows, learning_rate, 1.0);
  }
  EXPECT_LT(last, first);
  ASSERT_GE(selected.size(), 3u);
  ASSERT_LT(selected.size(), 30u);
  for (std::size_t p = 0; p < before.size(); ++p) {
    const Parameter& parameter = model.parameters().all()[p];
    if (parameter.kind == ParameterKind::values) {
      for (std::int32_t row = 0; row < 36; ++row) {
        EXPECT_EQ(same_row(values, before[p], row), selected.count(row) == 0) << row;
      }
    } else {
      EXPECT_TRUE(equal_bits(parameter.variable.value(), before[p])) << parameter.name;
    }
  }
}

TEST(SparseFinetuning, RowAdamMovesSelectedRowsOnly) {
  const auto optimizer = make_row_adam({});
  expect_only_selected_rows_move(*optimizer, 1e-2);
}

TEST(SparseFinetuning, RowSgdMovesSelectedRowsOnly) {
  const auto optimizer = make_row_sgd();
  expect_only_selected_rows_move(*optimizer, 0.5);
}

}  // namespace
}  // namespace slotwise::testing
