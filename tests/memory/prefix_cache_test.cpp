// The prefix cache changes when things are computed, never what: hidden states, counted accesses
// and gradients of known sequences are those of the whole model, up to rounding.
#include "memory/prefix_cache.h"

#include <gtest/gtest.h>

#include "memory/sparse_step.h"
#include "optim/row_optimizer.h"
#include "tests/kernels/memory_test_support.h"
#include "tests/memory/tiny_memory_model.h"

namespace slotwise::testing {
namespace {

constexpr std::int64_t kPlenty = 1 << 24;

std::vector<ModelConfig> models() {
  std::vector<ModelConfig> all = {tiny_memory_config(), tiny_memory_config({0, 2}, {{0, 2}}),
                                  tiny_memory_config({2}, {{2}}),
                                  tiny_memory_config({1, 2}, {{1}, {2}})};
  all[1].memory.mode = MemoryMode::add;
  all[2].memory.gate = false;
  return all;
}

TokenRows rows_of(std::int64_t count, std::uint64_t seed) {
  TokenRows rows;
  for (std::int64_t i = 0; i < count; ++i) {
    rows.push_back(tiny_tokens(1, 1 + (i * 5 + 2) % 9, seed + static_cast<std::uint64_t>(i))
                       .to_vector<std::int32_t>());
  }
  return rows;
}

void freeze_all_but_values(MemoryModel& model) {
  model.parameters().freeze_all();
  for (const ValueTable& table : model.tables()) table.values.set_requires_grad(true);
}

Tensor hidden_of(MemoryModel& model, const TokenRows& rows) {
  const NoGrad no_grad;
  const PackedRows packed = pack_rows(rows, {});
  return model.decoder().hidden(packed.tokens, packed.context).value();
}

// As a caller does who knows of no cache: `rows` in another order than they were added, and twice.
TokenRows shuffled(const TokenRows& rows) {
  TokenRows out(rows.rbegin(), rows.rend());
  out.push_back(rows[1]);
  return out;
}

double relative(const Tensor& a, const Tensor& b) {
  return relative_error(a, to_doubles(b));
}

TEST(PrefixCache, HiddenStatesAreTheModelsOwn) {
  const TokenRows rows = rows_of(9, 40);
  for (const ModelConfig& config : models()) {
    MemoryModel model(config, 3, {});
    freeze_all_but_values(model);
    const Tensor plain = hidden_of(model, shuffled(rows));
    const PrefixCache cache(model, {rows}, kPlenty);
    EXPECT_EQ(cache.sequences(), 9);
    EXPECT_LT(relative(hidden_of(model, shuffled(rows)), plain), 1e-6);
  }
}

TEST(PrefixCache, SeesValuesThatChangedSince) {
  const TokenRows rows = rows_of(5, 50);
  MemoryModel model(tiny_memory_config(), 3, {});
  freeze_all_but_values(model);
  Tensor before, cached;
  const Tensor& values = model.tables()[0].values.value();
  {
    const PrefixCache cache(model, {rows}, kPlenty);
    before = hidden_of(model, rows);
    for (float& value : values.span<float>()) value += 1.0f;
    cached = hidden_of(model, rows);
  }
  EXPECT_LT(relative(cached, hidden_of(model, rows)), 1e-6);
  EXPECT_GT(relative(cached, before), 1e-2);
}

TEST(PrefixCache, WithTheMemoryOff) {
  const TokenRows rows = rows_of(5, 60);
  for (const ModelConfig& config : models()) {
    MemoryModel model(config, 3, {});
    freeze_all_but_values(model);
    model.hooks().disabled = true;
    const Tensor plain = hidden_of(model, rows);
    model.hooks().disabled = false;
    const PrefixCache cache(model, {rows}, kPlenty);
    model.hooks().disabled = true;
    EXPECT_LT(relative(hidden_of(model, rows), plain), 1e-6);
  }
}

TEST(PrefixCache, UnknownSequencesRunTheWholeModel) {
  const TokenRows known = rows_of(4, 70), unknown = rows_of(4, 80);
  MemoryModel model(tiny_memory_config(), 3, {});
  freeze_all_but_values(model);
  TokenRows mixed = known;
  mixed.insert(mixed.end(), unknown.begin(), unknown.end());
  const Tensor plain = hidden_of(model, mixed);
  const PrefixCache cache(model, {known}, kPlenty);
  EXPECT_FALSE(cache.find(pack_rows(mixed, {}).context));
  EXPECT_TRUE(cache.find(pack_rows(known, {}).context));
  EXPECT_TRUE(equal_bits(hidden_of(model, mixed), plain));
}

TEST(PrefixCache, TakesGroupsThatFitWholeAndEachSequenceOnce) {
  TokenRows rows = rows_of(6, 90);
  const TokenRows more = rows_of(3, 96);
  rows.push_back(rows[0]);
  rows.push_back({});
  MemoryModel model(tiny_memory_config(), 3, {});
  freeze_all_but_values(model);
  const Tensor plain = hidden_of(model, {rows[2]});
  const auto sequences_within = [&](std::int64_t most) {
    const PrefixCache cache(model, {rows, more}, most);
    EXPECT_LE(cache.bytes(), most);
    EXPECT_LT(relative(hidden_of(model, {rows[2]}), plain), 1e-6);
    return std::pair{cache.sequences(), cache.bytes()};
  };
  const auto [all, all_bytes] = sequences_within(kPlenty);
  EXPECT_EQ(all, 9);
  EXPECT_EQ(sequences_within(all_bytes).first, 9);
  const auto [first, first_bytes] = sequences_within(all_bytes - 1);
  EXPECT_EQ(first, 6);
  EXPECT_EQ(sequences_within(first_bytes - 1).first, 3);  // the second group alone
  EXPECT_EQ(sequences_within(0).first, 0);
}

TEST(PrefixCache, RefusesAModelOfWhichMoreThanValuesTrain) {
  MemoryModel model(tiny_memory_config(), 3, {});
  EXPECT_THROW(PrefixCache(model, {rows_of(2, 1)}, kPlenty), Error);
  freeze_all_but_values(model);
  const PrefixCache cache(model, {rows_of(2, 1)}, kPlenty);
  EXPECT_THROW(PrefixCache(model, {rows_of(2, 1)}, kPlenty), Error);  // one at a time
}

TEST(PrefixCache, BitsDoNotDependOnTheOrderOfUse) {
  const TokenRows rows = rows_of(7, 100);
  MemoryModel model(tiny_memory_config(), 3, {});
  freeze_all_but_values(model);
  const PrefixCache cache(model, {rows}, kPlenty);
  const Tensor first = hidden_of(model, rows);
  hidden_of(model, shuffled(rows));
  EXPECT_TRUE(equal_bits(hidden_of(model, rows), first));
}

struct Finetuned {
  std::vector<double> losses;
  std::vector<std::vector<std::int32_t>> selected;
  std::vector<Tensor> tables;
};

Finetuned finetune(const ModelConfig& config, const TokenRows& rows, bool cached,
                   bool checkpointing = false) {
  MemoryModel model(config, 3, {});
  model.decoder().set_activation_checkpointing(checkpointing);
  model.parameters().freeze_all();
  SparseStep sparse(model, tf_selector(), 9);
  std::unique_ptr<PrefixCache> cache;
  if (cached) cache = std::make_unique<PrefixCache>(model, std::vector<TokenRows>{rows}, kPlenty);
  const auto optimizer = make_row_sgd();
  Finetuned out;
  for (int step = 0; step < 5; ++step) {
    const PackedRows packed = pack_rows(shuffled(rows), {});
    const Tensor targets = random_integers({packed.tokens.elements()}, 7, 23);
    const auto chosen = LossTargets::from(targets, {});
    const Variable loss =
        language_model_loss(model.decoder().hidden(packed.tokens, packed.context),
                            model.decoder().head(), chosen, static_cast<double>(chosen.count()));
    backward(loss);
    out.losses.push_back(static_cast<double>(loss.value().data<float>()[0]));
    const std::vector<RowGradient> updates = sparse.finish(step);
    for (std::size_t t = 0; t < updates.size(); ++t) {
      out.selected.push_back(updates[t].rows.to_vector<std::int32_t>());
      optimizer->step(model.tables()[t].values.value(), updates[t], 0.5, 0.0);
    }
  }
  for (const ValueTable& table : model.tables()) out.tables.push_back(table.values.value().clone());
  return out;
}

TEST(PrefixCache, FinetuningIsTheSame) {
  const TokenRows rows = rows_of(8, 110);
  for (const ModelConfig& config : models()) {
    const Finetuned plain = finetune(config, rows, false);
    EXPECT_LT(plain.losses.back(), plain.losses.front());
    for (const bool checkpointing : {false, true}) {
      const Finetuned cached = finetune(config, rows, true, checkpointing);
      EXPECT_EQ(plain.selected, cached.selected);
      for (std::size_t i = 0; i < plain.losses.size(); ++i) {
        EXPECT_NEAR(cached.losses[i], plain.losses[i], 2e-6 * plain.losses[i]);
      }
      for (std::size_t t = 0; t < plain.tables.size(); ++t) {
        EXPECT_LT(relative(cached.tables[t], plain.tables[t]), 1e-6);
      }
    }
  }
}

}  // namespace
}  // namespace slotwise::testing
