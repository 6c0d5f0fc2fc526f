#include "memory/memory_model.h"

#include "memory/memory_layer.h"

namespace slotwise {

MemoryModel::MemoryModel(const ModelConfig& config, std::optional<std::uint64_t> seed,
                         Device device)
    : config_(config), registry_(seed, device), hooks_(std::make_shared<MemoryHooks>()) {
  check(config.decoder);
  check(config.memory, config.decoder.num_hidden_layers);
  for (std::size_t i = 0; i < config.memory.tables.size(); ++i) {
    tables_.push_back(make_value_table(registry_, config.memory, static_cast<int>(i)));
  }
  decoder_ =
      std::make_unique<Decoder>(registry_, config.decoder,
                                [this](ParameterRegistry&, const std::string& prefix,
                                       std::int64_t layer) { return feed_forward(prefix, layer); });
}

std::unique_ptr<FeedForward> MemoryModel::feed_forward(const std::string& prefix,
                                                       std::int64_t layer) {
  const int table = config_.memory.table_of(layer);
  std::unique_ptr<FeedForward> dense;
  if (table < 0 || config_.memory.mode == MemoryMode::add) {
    dense = std::make_unique<SwigluFeedForward>(registry_, prefix + "mlp.", config_.decoder);
  }
  if (table < 0) return dense;
  auto memory = std::make_unique<MemoryLayer>(
      registry_, prefix + "memory.", config_.memory, config_.decoder,
      tables_[static_cast<std::size_t>(table)], hooks_, std::move(dense));
  if (lowest_memory_ == nullptr) lowest_memory_ = memory.get();  // layers come in order
  return memory;
}

}  // namespace slotwise
