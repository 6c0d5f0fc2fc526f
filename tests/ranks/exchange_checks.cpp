// What training sends: the value table's gradient by rows, equal in bits to the dense exchange;
// sparse memory finetuning, of which only the counts and [t, d_v] travel.
#include <cstring>

#include "memory/sparse_step.h"
#include "tests/memory/tiny_memory_model.h"
#include "tests/ranks/rank_checks.h"
#include "train/finetune_method.h"
#include "train/gradient_exchange.h"
#include "train/model_batch.h"

namespace slotwise::testing {
namespace {

constexpr std::int64_t kRows = 8, kLength = 6, kTrained = 9;

ModelConfig large_table() {
  ModelConfig config = tiny_memory_config();
  config.memory.sub_keys = 64;
  return config;
}

TokenBatch batch_of(std::uint64_t seed) {
  std::vector<std::vector<std::int32_t>> rows;
  const auto tokens = random_integers({kRows, kLength + 1}, seed, 23).to_vector<std::int32_t>();
  for (auto row = tokens.begin(); row != tokens.end(); row += kLength + 1) {
    rows.emplace_back(row, row + kLength + 1);
  }
  return make_batch(rows, 0);
}

void expect_same_bits(const Tensor& a, const Tensor& b, const std::string& what) {
  SLOTWISE_CHECK(a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0,
                 "{} differs", what);
}

// The ranks tell one another which rows they touched, a bit for each, before backward is over.
void expect_marks_in_backward(RoundHooks& hooks, const Communicator& group, std::int64_t rows) {
  const auto before = std::make_shared<Traffic>();
  hooks.begin = [&group, before, begin = hooks.begin] {
    *before = group.sent(Verb::all_gather);
    begin();
  };
  hooks.end = [&group, before, rows, end = hooks.end] {
    const Traffic now = group.sent(Verb::all_gather);
    SLOTWISE_CHECK(now.calls == before->calls + 1, "{} lists of rows began to travel in backward",
                   now.calls - before->calls);
    const std::int64_t expected = (rows + 31) / 32 * 4 * (group.size() - 1);
    SLOTWISE_CHECK(now.bytes - before->bytes == expected, "a list of rows took {} bytes, not {}",
                   now.bytes - before->bytes, expected);
    end();
  };
}

// Gradients of two rounds over `group`; `dense`: the table's gradient is filled up first, so that
// it travels whole. Returns the bytes sent.
std::int64_t exchange(MemoryModel& model, const Sharding& sharding, bool dense) {
  GradientExchange gradients(model.parameters().all(), sharding.group);
  const std::int64_t sent = sharding.group->sent(Verb::all_reduce).bytes;
  RoundHooks hooks = gradients.hooks();
  if (dense) {
    hooks.gradient_ready = [ready = hooks.gradient_ready](const Variable& variable) {
      if (variable.row_sparse()) variable.grad();
      ready(variable);
    };
  } else if (sharding.group->size() > 1) {
    expect_marks_in_backward(hooks, *sharding.group, model.tables()[0].values.value().size(0));
  }
  queue_gradients(model, batch_of(3), {.sharding = sharding, .hooks = hooks});
  return sharding.group->sent(Verb::all_reduce).bytes - sent;
}

void expect_same_gradients(const MemoryModel& a, const MemoryModel& b) {
  for (std::size_t i = 0; i < a.parameters().all().size(); ++i) {
    const Parameter& parameter = a.parameters().all()[i];
    if (parameter.kind == ParameterKind::buffer) continue;
    expect_same_bits(parameter.variable.grad(), b.parameters().all()[i].variable.grad(),
                     "the gradient of " + parameter.name);
  }
}

std::unique_ptr<FinetuneMethod> sparse_method(MemoryModel& model, const Sharding& sharding) {
  return sparse_memory_finetuning(model, {.selector = tf_selector(),
                                          .make_row_optimizer = make_row_sgd,
                                          .rows = kTrained,
                                          .sharding = sharding});
}

}  // namespace

void check_gradient_exchange(const std::shared_ptr<Communicator>& group) {
  const Sharding sharding{2 * group->size(), group};
  MemoryModel sparse(large_table(), 1, {}), dense(large_table(), 1, {}),
      alone(large_table(), 1, {});
  const std::int64_t by_rows = exchange(sparse, sharding, false);
  const std::int64_t whole = exchange(dense, sharding, true);
  exchange(alone, {sharding.shards, single_process()}, false);
  const Tensor& values = sparse.tables()[0].values.value();
  std::int64_t touched = 0;
  for (const std::uint8_t mark :
       sparse.tables()[0].values.row_grad().touched.to_vector<std::uint8_t>()) {
    touched += mark;
  }
  expect_same_gradients(sparse, dense);
  expect_same_gradients(sparse, alone);
  SLOTWISE_CHECK(touched > 0 && touched < values.size(0) / 4, "{} rows touched", touched);
  // The second round carries all of them, the first no more.
  const std::int64_t most = whole - 2 * ordered_sum_bytes(*group, values.elements()) +
                            2 * ordered_sum_bytes(*group, touched * values.size(1));
  SLOTWISE_CHECK(by_rows <= most, "{} bytes by rows, {} with the whole table, expected at most {}",
                 by_rows, whole, most);
}

void check_sparse_step(const std::shared_ptr<Communicator>& group) {
  MemoryModel model(large_table(), 1, {}), alone(large_table(), 1, {});
  const auto method = sparse_method(model, {group->size(), group});
  const auto reference = sparse_method(alone, {group->size(), single_process()});
  for (std::int64_t step = 0; step < 3; ++step) {
    const TokenBatch batch = batch_of(10 + static_cast<std::uint64_t>(step));
    const std::int64_t summed = group->sent(Verb::all_reduce).bytes;
    const std::int64_t gathered = group->sent(Verb::all_gather).bytes;
    const MethodStep done = method->step(batch, step, 0.1);
    const MethodStep expected = reference->step(batch, step, 0.1);
    SLOTWISE_CHECK(done.accessed_rows == expected.accessed_rows, "{} rows accessed, expected {}",
                   done.accessed_rows, expected.accessed_rows);
    SLOTWISE_CHECK(done.selected_rows == kTrained, "{} rows selected", done.selected_rows);
    const std::int64_t bytes = group->sent(Verb::all_reduce).bytes - summed;
    // The losses, the number of accesses, and [t, d_v].
    const std::int64_t rows = ordered_sum_bytes(*group, kTrained * 10);
    const std::int64_t most =
        rows + ordered_sum_bytes(*group, group->size()) + ordered_sum_bytes(*group, 1, 8);
    SLOTWISE_CHECK(bytes == most, "a step summed {} bytes, expected {}", bytes, most);
    // Slot and count of what this rank read: at most all its reads.
    const std::int64_t rows_here = (kRows + group->size() - 1) / group->size();
    const std::int64_t reads = rows_here * kLength * 2 * 3;
    const std::int64_t counts = group->sent(Verb::all_gather).bytes - gathered;
    SLOTWISE_CHECK(counts > 0 && counts <= (2 * reads + 1) * 4 * (group->size() - 1),
                   "a step gathered {} bytes", counts);
    expect_same_bits(model.tables()[0].values.value(), alone.tables()[0].values.value(),
                     fmt::format("the table after step {}", step));
  }
}

}  // namespace slotwise::testing
