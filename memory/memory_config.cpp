#include "memory/memory_config.h"

#include <algorithm>
#include <set>

#include "core/error.h"

namespace slotwise {
namespace {

void expect_positive(const char* field, std::int64_t value) {
  if (value <= 0) user_error("memory config: {} must be positive, got {}", field, value);
}

void check_tables(const MemoryConfig& config) {
  for (const auto& table : config.tables) {
    if (table.empty()) user_error("memory config: every list in `tables` must name a layer");
  }
  std::multiset<std::int64_t> listed;
  for (const auto& table : config.tables) listed.insert(table.begin(), table.end());
  if (!std::equal(listed.begin(), listed.end(), config.layers.begin(), config.layers.end())) {
    user_error(
        "memory config: `tables` must list every layer of `layers` exactly once ({} layers, {} "
        "entries)",
        config.layers.size(), listed.size());
  }
}

}  // namespace

int MemoryConfig::table_of(std::int64_t layer) const {
  for (std::size_t i = 0; i < tables.size(); ++i) {
    if (std::find(tables[i].begin(), tables[i].end(), layer) != tables[i].end()) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

void check(const MemoryConfig& config, std::int64_t model_layers) {
  if (!config.present()) {
    if (!config.tables.empty()) user_error("memory config: `tables` without `layers`");
    return;
  }
  expect_positive("sub_keys", config.sub_keys);
  expect_positive("heads", config.heads);
  expect_positive("top_k", config.top_k);
  expect_positive("key_dim", config.key_dim);
  expect_positive("value_dim", config.value_dim);
  if (config.key_dim % 2 != 0) {
    user_error("memory config: key_dim must be even (two halves), got {}", config.key_dim);
  }
  if (config.top_k > config.sub_keys) {
    user_error("memory config: top_k ({}) must not exceed sub_keys ({})", config.top_k,
               config.sub_keys);
  }
  if (config.sub_keys > 46340) {
    user_error("memory config: sub_keys must be at most 46340 (slots are 32-bit), got {}",
               config.sub_keys);
  }
  if (!std::is_sorted(config.layers.begin(), config.layers.end()) ||
      std::adjacent_find(config.layers.begin(), config.layers.end()) != config.layers.end()) {
    user_error("memory config: `layers` must be ascending without repeats");
  }
  if (config.layers.front() < 0 || config.layers.back() >= model_layers) {
    user_error("memory config: layer {} does not exist in a model of {} layers (counted from 0)",
               config.layers.front() < 0 ? config.layers.front() : config.layers.back(),
               model_layers);
  }
  check_tables(config);
}

}  // namespace slotwise
