// The size that is computed from a config against that of the model itself.
#include "train/model_size.h"

#include <gtest/gtest.h>

#include "core/devices.h"
#include "tests/data/temporary_folder.h"

namespace slotwise::testing {
namespace {

ModelConfig config_with(MemoryMode mode, bool gate, bool tied) {
  ModelConfig config;
  config.decoder.vocab_size = 300;
  config.decoder.hidden_size = 64;
  config.decoder.num_hidden_layers = 4;
  config.decoder.num_attention_heads = 4;
  config.decoder.num_key_value_heads = 2;
  config.decoder.intermediate_size = 96;
  config.decoder.tie_word_embeddings = tied;
  config.memory.sub_keys = 16;
  config.memory.heads = 2;
  config.memory.top_k = 4;
  config.memory.key_dim = 32;
  config.memory.value_dim = 48;
  config.memory.layers = {1, 3};
  config.memory.tables = {{1}, {3}};
  config.memory.mode = mode;
  config.memory.gate = gate;
  return config;
}

TEST(ModelSize, CountsAllButGains) {
  for (const MemoryMode mode : {MemoryMode::replace, MemoryMode::add}) {
    for (const bool flag : {false, true}) {
      const ModelConfig config = config_with(mode, flag, flag);
      const MemoryModel model(config, std::nullopt, Device{});
      double expected = 0;
      for (const Parameter& parameter : model.parameters().all()) {
        const bool counted = parameter.kind == ParameterKind::matrix ||
                             parameter.kind == ParameterKind::embedding ||
                             parameter.kind == ParameterKind::values;
        if (counted) expected += static_cast<double>(parameter.variable.value().elements());
      }
      EXPECT_EQ(weight_count(config), expected);
    }
  }
}

TEST(ModelSize, OfTrainingCountsGradientsAndStates) {
  const ModelConfig config = config_with(MemoryMode::replace, true, true);
  const double weights = 4 * weight_count(config);
  const auto bytes = [&](const char* name, double momentum, std::int64_t rounds) {
    OptimizerSettings optimizer;
    optimizer.name = name;
    optimizer.momentum = momentum;
    return training_bytes(config, optimizer, rounds);
  };
  EXPECT_EQ(bytes("adamw", 0, 1), 4 * weights);
  EXPECT_EQ(bytes("adamw", 0, 2), 5 * weights);
  EXPECT_EQ(bytes("sgd", 0, 1), 2 * weights);
  EXPECT_EQ(bytes("sgd", 0.9, 3), 4 * weights);
}

TEST(ModelSize, TheRanksOfAHostShareItsMemory) {
  const ModelConfig config = config_with(MemoryMode::replace, true, true);
  const OptimizerSettings optimizer;
  const auto there = static_cast<double>(memory_bytes(Device{}));
  const auto most = static_cast<int>(there / training_bytes(config, optimizer, 2));
  EXPECT_NO_THROW(refuse_model_beyond_memory(config, optimizer, Device{}, {2, most}));
  EXPECT_TRUE(contains(user_error_of([&] {
                         refuse_model_beyond_memory(config, optimizer, Device{}, {2, most + 1});
                       }),
                       fmt::format("in each of {} ranks on one host", most + 1)));
}

}  // namespace
}  // namespace slotwise::testing
