// Reading the PyTorch fixtures (tests/fixtures/README.md).
#pragma once

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "core/safetensors.h"
#include "memory/memory_model.h"
#include "tests/support/op_registry.h"
#include "train/checkpoint.h"
#include "train/model_batch.h"
#include "train/model_config.h"

namespace slotwise::testing {

inline std::string fixture(const std::string& name) {
  return "tests/fixtures/" + name;
}

inline nlohmann::json fixture_json(const std::string& name) {
  std::ifstream file(fixture(name));
  if (!file) fail("run the tests from the root of the source tree: no {}", fixture(name));
  return nlohmann::json::parse(file);
}

inline std::unique_ptr<MemoryModel> fixture_model(const std::string& folder) {
  const std::string config = folder + "/config.json";
  auto model =
      std::make_unique<MemoryModel>(parse_config_json(fixture_json(config), config), 0, Device{});
  std::vector<NamedTensor> tensors;
  for (const Parameter& parameter : model->parameters().all()) {
    tensors.push_back({parameter.name, parameter.variable.value()});
  }
  load_tensors(read_safetensors(fixture(folder + "/model.safetensors")), tensors);
  return model;
}

inline TokenBatch fixture_batch(const TensorFile& file, const std::string& suffix) {
  TokenBatch batch{file.require("tokens" + suffix), file.require("targets" + suffix), 0};
  for (const std::int32_t target : batch.targets.span<std::int32_t>()) {
    batch.valid_tokens += target >= 0 ? 1 : 0;
  }
  return batch;
}

}  // namespace slotwise::testing
