// The background of a model, what ties it to the model, and the usage report.
#include "memory/background_usage.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/safetensors.h"
#include "memory/lookup_hash.h"
#include "memory/usage_report.h"
#include "tests/data/temporary_folder.h"
#include "tests/kernels/memory_test_support.h"
#include "tests/memory/tiny_memory_model.h"

namespace slotwise::testing {
namespace {

constexpr const char* kTokenizer = "0123456789abcdef";

BackgroundUsage background_of(MemoryModel& model) {
  BackgroundCollector collector(model);
  for (std::uint64_t batch = 0; batch < 3; ++batch) {
    forward_only(model, tiny_tokens(1, 4, batch));
    collector.end_batch();
  }
  return collector.result(kTokenizer, 1, 4);
}

void nudge(const MemoryModel& model, std::string_view name) {
  parameter_of(model, name).data<float>()[0] += 0.5f;
}

TEST(Background, CountsInHowManyBatchesASlotIsRead) {
  MemoryModel model(tiny_memory_config({0, 1, 2}, {{0, 2}, {1}}), 1, {});
  std::vector<std::vector<std::int32_t>> expected(2, std::vector<std::int32_t>(36, 0));
  for (std::uint64_t batch = 0; batch < 3; ++batch) {
    std::vector<std::set<std::int32_t>> read(2);
    model.hooks().on_access = [&](const Access& access) {
      const auto slots = access.slots.to_vector<std::int32_t>();
      read[static_cast<std::size_t>(access.table)].insert(slots.begin(), slots.end());
    };
    forward_only(model, tiny_tokens(1, 4, batch));
    for (std::size_t t = 0; t < 2; ++t) {
      for (const std::int32_t slot : read[t]) ++expected[t][static_cast<std::size_t>(slot)];
    }
  }
  EXPECT_THROW(background_of(model),
               Error);  // a second watcher is refused, not put in the first's place
  model.hooks().on_access = nullptr;
  const BackgroundUsage background = background_of(model);
  ASSERT_EQ(background.tables.size(), 2u);
  for (std::size_t t = 0; t < 2; ++t) {
    EXPECT_EQ(background.tables[t].df.to_vector<std::int32_t>(), expected[t]);
    EXPECT_EQ(background.tables[t].batches, 3);
  }
  EXPECT_FALSE(model.hooks().on_access);
  ModelConfig plain = tiny_memory_config();
  plain.memory = {};
  MemoryModel none(plain, 1, {});
  EXPECT_THROW(BackgroundCollector{none}, UserError);
}

TEST(Background, PaddingDoesNotCount) {
  MemoryModel model(tiny_memory_config({0}, {{0}}), 1, {});
  const auto df_after = [&](const Tensor& tokens, const Tensor& valid) {
    BackgroundCollector collector(model);
    forward_only(model, tokens, valid);
    collector.end_batch();
    return collector.result("", 1, tokens.size(1)).tables[0].df;
  };
  const Tensor padded = df_after(Tensor::from<std::int32_t>({5, 6, 7, 1, 2, 3}, {1, 6}),
                                 Tensor::from<std::uint8_t>({1, 1, 1, 0, 0, 0}, {6}));
  const Tensor bare = df_after(Tensor::from<std::int32_t>({5, 6, 7}, {1, 3}), {});
  EXPECT_TRUE(equal_bits(padded, bare));
}

TEST(Background, RoundTrip) {
  const TemporaryFolder folder;
  const auto path = folder / "background.safetensors";
  for (const ModelConfig& config :
       {tiny_memory_config(), tiny_memory_config({0, 1, 2}, {{0, 2}, {1}})}) {
    MemoryModel model(config, 1, {});
    BackgroundUsage saved = background_of(model);
    saved.source = "wiki, seed 3";
    EXPECT_EQ(saved.row_digests.empty(), config.memory.layers.size() == 1);
    save_background(saved, path);
    const BackgroundUsage loaded = load_background(path);
    ASSERT_EQ(loaded.tables.size(), saved.tables.size());
    for (std::size_t t = 0; t < saved.tables.size(); ++t) {
      EXPECT_TRUE(equal_bits(loaded.tables[t].df, saved.tables[t].df));
      EXPECT_EQ(loaded.tables[t].batches, 3);
    }
    EXPECT_EQ(loaded.batch_rows, 1);
    EXPECT_EQ(loaded.batch_length, 4);
    EXPECT_EQ(loaded.tokenizer_hash, kTokenizer);
    EXPECT_EQ(loaded.lookup_hash, saved.lookup_hash);
    EXPECT_EQ(loaded.source, saved.source);
    EXPECT_EQ(loaded.row_digests, saved.row_digests);
    EXPECT_EQ(check_background(loaded, model, kTokenizer), 0);
  }
}

TEST(Background, RefusesDamagedFiles) {
  const TemporaryFolder folder;
  const auto path = folder / "background.safetensors";
  using Metadata = std::map<std::string, std::string>;
  const Metadata metadata = {{"tables", "1"},       {"num_batches", "3"},    {"batch_rows", "1"},
                             {"batch_length", "4"}, {"tokenizer_hash", "t"}, {"lookup_hash", "l"}};
  const Tensor good = Tensor::from<std::int32_t>({0, 3, 1, 2}, {4});
  write_safetensors(path, {{"df", good}}, metadata);
  EXPECT_EQ(load_background(path).tables[0].batches, 3);

  const auto refusal = [&](const Tensor& df, const Metadata& changed) {
    write_safetensors(path, {{"df", df}}, changed);
    return user_error_of([&] { load_background(path); });
  };
  EXPECT_TRUE(contains(refusal(Tensor::from<std::int32_t>({4}, {1}), metadata), "df holds 4"));
  EXPECT_TRUE(contains(refusal(Tensor::from<std::int32_t>({-1}, {1}), metadata), "df holds -1"));
  EXPECT_TRUE(contains(refusal(Tensor::from<float>({1}, {1}), metadata), "i32"));
  EXPECT_TRUE(contains(refusal(good.view({2, 2}), metadata), "[2, 2]"));
  const auto with = [&](const char* key, const char* value) {
    Metadata changed = metadata;
    changed[key] = value;
    return refusal(good, changed);
  };
  EXPECT_TRUE(contains(with("num_batches", "3x"), "num_batches"));
  EXPECT_TRUE(contains(with("batch_rows", "-3"), "batch_rows"));
  EXPECT_TRUE(contains(with("tables", "2"), "0.df"));
  for (const auto& [key, value] : metadata) {
    Metadata changed = metadata;
    changed.erase(key);
    EXPECT_TRUE(contains(refusal(good, changed), key)) << key;
  }
}

TEST(Background, IsRefusedWhereTheModelDiffers) {
  MemoryModel model(tiny_memory_config(), 1, {});
  const BackgroundUsage background = background_of(model);
  const auto refusal = [&](const MemoryModel& other, const char* tokenizer) {
    return user_error_of([&] { check_background(background, other, tokenizer); });
  };
  EXPECT_TRUE(contains(refusal(model, "another"), "tokenizer"));
  ModelConfig wider = tiny_memory_config();
  wider.memory.sub_keys = 7;
  EXPECT_TRUE(contains(refusal(MemoryModel(wider, 1, {}), kTokenizer), "36 slots"));
  const MemoryModel tables(tiny_memory_config({0, 1}, {{0}, {1}}), 1, {});
  EXPECT_TRUE(contains(refusal(tables, kTokenizer), "value tables"));
  nudge(model, "model.memory.values");
  EXPECT_EQ(check_background(background, model, kTokenizer), 0);
  nudge(model, "model.layers.1.memory.keys");
  EXPECT_TRUE(contains(refusal(model, kTokenizer), "lookup"));
}

TEST(Background, SaysHowManyRowsChangedWhereLaterLookupsReadThem) {
  MemoryModel model(tiny_memory_config({0, 2}, {{0, 2}}), 1, {});
  const BackgroundUsage background = background_of(model);
  const Tensor values = parameter_of(model, "model.memory.values");
  values.data<float>()[0] += 1.0f;
  values.data<float>()[5 * 10 + 9] += 1.0f;
  values.data<float>()[5 * 10 + 3] += 1.0f;
  EXPECT_EQ(check_background(background, model, kTokenizer), 2);
}

TEST(LookupHash, CoversWhatDecidesTheSlotsAndNothingElse) {
  ModelConfig config = tiny_memory_config();
  config.memory.mode = MemoryMode::add;
  config.memory.norm_gain = true;
  const auto changes = [&](const char* name) {
    const MemoryModel model(config, 1, {});
    const std::string before = lookup_hash(model);
    EXPECT_EQ(before.size(), 64u);
    nudge(model, name);
    return lookup_hash(model) != before;
  };
  for (const char* name :
       {"model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight",
        "model.layers.0.mlp.down_proj.weight", "model.layers.0.input_layernorm.weight",
        "model.layers.1.self_attn.o_proj.weight", "model.layers.1.post_attention_layernorm.weight",
        "model.layers.1.memory.query.weight", "model.layers.1.memory.query_norm.weight",
        "model.layers.1.memory.keys"}) {
    EXPECT_TRUE(changes(name)) << name;
  }
  for (const char* name :
       {"model.memory.values", "model.layers.1.memory.gate.weight",
        "model.layers.1.memory.output.weight", "model.layers.1.memory.alpha",
        "model.layers.1.mlp.up_proj.weight", "model.layers.2.self_attn.q_proj.weight",
        "model.layers.2.mlp.up_proj.weight", "model.norm.weight", "lm_head.weight"}) {
    EXPECT_FALSE(changes(name)) << name;
  }
}

TEST(LookupHash, CountsEveryPartOfLowerMemoryLayers) {
  const MemoryModel model(tiny_memory_config({0, 2}, {{0, 2}}), 1, {});
  const std::string before = lookup_hash(model);
  nudge(model, "model.layers.0.memory.output.weight");
  const std::string after = lookup_hash(model);
  EXPECT_NE(after, before);
  nudge(model, "model.layers.2.memory.output.weight");
  EXPECT_EQ(lookup_hash(model), after);
}

TEST(DfHistogram, BinsByPowersOfTwo) {
  const TableBackground table{Tensor::from<std::int32_t>({0, 0, 1, 2, 3, 4, 7, 8}, {8}), 8};
  const std::string text = df_histogram(table);
  EXPECT_TRUE(contains(text, "of the 8 batches"));
  EXPECT_TRUE(contains(text, "2 - 3               2   25.0 %")) << text;
  EXPECT_TRUE(contains(text, "8 - 15              1   12.5 %")) << text;
}

TEST(SlotUsage, EvenUse) {
  const SlotUsage usage = slot_usage({5, 5, 5, 5}, {0.5, 0.5, 0.5, 0.5});
  EXPECT_EQ(usage.accesses, 20);
  EXPECT_EQ(usage.used, 1.0);
  EXPECT_NEAR(usage.kl_counts, 0.0, 1e-12);
  EXPECT_NEAR(usage.kl_weights, 0.0, 1e-12);
  EXPECT_NEAR(usage.gini, 0.0, 1e-12);
  EXPECT_EQ(usage.slots_50, 2);
  EXPECT_EQ(usage.slots_90, 4);
}

TEST(SlotUsage, OneSlotTakesAll) {
  const SlotUsage usage = slot_usage({0, 0, 9, 0, 0}, {0, 0, 2.5, 0, 0});
  EXPECT_EQ(usage.used, 0.2);
  EXPECT_NEAR(usage.kl_counts, std::log(5.0), 1e-12);
  EXPECT_NEAR(usage.kl_weights, std::log(5.0), 1e-12);
  EXPECT_NEAR(usage.gini, 0.8, 1e-12);
  EXPECT_EQ(usage.slots_99, 1);
}

TEST(SlotUsage, ByHand) {
  const SlotUsage usage = slot_usage({1, 0, 3, 0}, {1.0, 1.0, 2.0, 0.0});
  EXPECT_EQ(usage.used, 0.5);
  EXPECT_NEAR(usage.kl_counts, std::log(4.0) + 0.25 * std::log(0.25) + 0.75 * std::log(0.75),
              1e-12);
  EXPECT_NEAR(usage.kl_weights, std::log(4.0) + 0.5 * std::log(0.25) + 0.5 * std::log(0.5), 1e-12);
  // Mean absolute difference over twice the mean: (2 * (1+1+2+3+3)) / 16 / (2 * 1).
  EXPECT_NEAR(usage.gini, 20.0 / 32.0, 1e-12);
  EXPECT_EQ(usage.slots_50, 1);
  EXPECT_EQ(usage.slots_90, 2);
  EXPECT_TRUE(contains(usage.text(), "4 accesses to 4 slots"));
  EXPECT_TRUE(contains(usage.text(), "50.0 %"));
}

TEST(SlotUsage, NoUseAtAll) {
  const SlotUsage usage = slot_usage({0, 0}, {0.0, 0.0});
  EXPECT_EQ(usage.accesses, 0);
  EXPECT_EQ(usage.used, 0.0);
  EXPECT_EQ(usage.gini, 0.0);
  EXPECT_EQ(usage.slots_99, 0);
}

TEST(UsageMeter, AddsUpForwards) {
  MemoryModel model(tiny_memory_config({0, 2}, {{0, 2}}), 1, {});
  {
    const UsageMeter meter(model);
    const Tensor tokens = tiny_tokens(1, 6, 1);
    forward_only(model, tokens, Tensor::from<std::uint8_t>({1, 1, 1, 1, 0, 0}, {6}));
    forward_only(model, tiny_tokens(2, 3, 2));
    const SlotUsage usage = meter.usage(0);
    EXPECT_EQ(usage.accesses, (4 + 6) * 2 * 6);  // tokens, layers, heads * k
    EXPECT_EQ(usage.slots, 36);
    std::int64_t total = 0;
    for (const std::int64_t count : meter.counts(0)) total += count;
    EXPECT_EQ(total, usage.accesses);
  }
  EXPECT_FALSE(model.hooks().on_access);
}

}  // namespace
}  // namespace slotwise::testing
