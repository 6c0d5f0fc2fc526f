// A decoder with memory layers (or none): the model that the programs train.
#pragma once

#include <memory>
#include <optional>

#include "layers/decoder.h"
#include "memory/memory_config.h"
#include "memory/memory_hooks.h"
#include "memory/value_table.h"

namespace slotwise {

struct ModelConfig {
  DecoderConfig decoder;
  MemoryConfig memory;
};

class MemoryLayer;

class MemoryModel {
 public:
  // Without a seed the weights hold no values yet: a file fills them.
  MemoryModel(const ModelConfig& config, std::optional<std::uint64_t> seed, Device device);
  MemoryModel(const MemoryModel&) = delete;
  MemoryModel& operator=(const MemoryModel&) = delete;

  Decoder& decoder() { return *decoder_; }
  const ModelConfig& config() const { return config_; }
  ParameterRegistry& parameters() { return registry_; }
  const ParameterRegistry& parameters() const { return registry_; }
  const std::vector<ValueTable>& tables() const { return tables_; }
  MemoryHooks& hooks() { return *hooks_; }
  // The memory layer nearest to the input; null where the model has none.
  const MemoryLayer* lowest_memory() const { return lowest_memory_; }
  Device device() const { return registry_.device(); }

 private:
  std::unique_ptr<FeedForward> feed_forward(const std::string& prefix, std::int64_t layer);

  ModelConfig config_;
  ParameterRegistry registry_;
  std::shared_ptr<MemoryHooks> hooks_;
  std::vector<ValueTable> tables_;
  std::unique_ptr<Decoder> decoder_;
  const MemoryLayer* lowest_memory_ = nullptr;  // owned by the decoder
};

}  // namespace slotwise
