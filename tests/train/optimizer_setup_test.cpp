// Which parameters move at which rate.
#include "train/optimizer_setup.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/memory/tiny_memory_model.h"

namespace slotwise::testing {
namespace {

// Name -> weights of all parameters.
std::map<std::string, std::vector<float>> weights_of(const MemoryModel& model) {
  std::map<std::string, std::vector<float>> out;
  for (const Parameter& parameter : model.parameters().all()) {
    out[parameter.name] = parameter.variable.value().to_vector<float>();
  }
  return out;
}

TEST(OptimizerSetup, WordVectorsAndValuesHaveRatesOfTheirOwn) {
  for (const bool still : {true, false}) {
    MemoryModel model(tiny_memory_config(), 1, Device{});
    OptimizerSettings settings;
    settings.weight_decay = 0.1;
    settings.embedding_rate_scale = still ? 0.0 : 1.0;
    settings.value_rate_scale = still ? 1.0 : 0.0;
    const auto optimizer = make_optimizer(model.parameters().all(), settings);
    const auto before = weights_of(model);
    train_on(model, tiny_tokens(2, 5, 3), 4);
    optimizer->step(0.01);
    const auto after = weights_of(model);
    for (const Parameter& parameter : model.parameters().all()) {
      const std::string& name = parameter.name;
      if (parameter.kind == ParameterKind::embedding) {
        EXPECT_EQ(before.at(name) == after.at(name), still) << name;
      } else if (parameter.kind == ParameterKind::values) {
        EXPECT_EQ(before.at(name) == after.at(name), !still) << name;
      } else if (parameter.kind == ParameterKind::matrix) {
        EXPECT_NE(before.at(name), after.at(name)) << name;
      }
    }
  }
}

}  // namespace
}  // namespace slotwise::testing
