#include "memory/lookup_hash.h"

#include <algorithm>

#include "core/sha256.h"

namespace slotwise {
namespace {

// Does this parameter stand on the way to a slot index? Of the highest memory layer only what leads
// to its lookup does; its gate, output, alpha and dense network come after.
bool decides_slots(const std::string& name, std::int64_t highest_layer) {
  if (name == "model.embed_tokens.weight") return true;
  constexpr std::string_view kLayers = "model.layers.";
  if (name.rfind(kLayers, 0) != 0) return false;
  const std::int64_t layer = std::stoll(name.substr(kLayers.size()));
  if (layer != highest_layer) return layer < highest_layer;
  const auto holds = [&](std::string_view part) { return name.find(part) != std::string::npos; };
  return !holds(".mlp.") && !holds(".memory.gate.") && !holds(".memory.output.") &&
         !holds(".memory.alpha");
}

// What changes a lookup besides the weights.
std::string lookup_settings(const ModelConfig& config) {
  const DecoderConfig& d = config.decoder;
  const MemoryConfig& m = config.memory;
  std::string text =
      fmt::format("{} {} {} {:.17g} {:.17g} {};", d.num_attention_heads, d.num_key_value_heads,
                  d.head_size(), d.rope_theta, d.rms_norm_eps, d.qk_norm);
  text += fmt::format("{} {} {} {} {} {:.17g} {} {}", m.heads, m.top_k,
                      static_cast<int>(m.query_norm), static_cast<int>(m.key_norm), m.norm_gain,
                      m.norm_eps, static_cast<int>(m.mode), m.gate);
  for (const std::int64_t layer : m.layers) text += fmt::format(" {}:{}", layer, m.table_of(layer));
  return text;
}

}  // namespace

std::string lookup_hash(const MemoryModel& model) {
  SLOTWISE_CHECK(model.config().memory.present(), "[lookup_hash] the model has no memory layer");
  const std::int64_t highest = model.config().memory.layers.back();
  std::vector<const Parameter*> chosen;
  for (const Parameter& parameter : model.parameters().all()) {
    if (decides_slots(parameter.name, highest)) chosen.push_back(&parameter);
  }
  std::sort(chosen.begin(), chosen.end(),
            [](const Parameter* a, const Parameter* b) { return a->name < b->name; });
  Sha256 hash;
  hash.add(lookup_settings(model.config()));
  for (const Parameter* parameter : chosen) {
    const Tensor value = parameter->variable.value().to(Device{});
    hash.add(parameter->name).add(value.shape().text()).add(value.raw(), value.bytes());
  }
  return hash.hex();
}

std::vector<std::int64_t> digest_rows(const ValueTable& table) {
  const Tensor values = table.values.value().to(Device{});
  const std::int64_t width = values.size(1);
  const auto* words = static_cast<const std::uint32_t*>(values.raw());
  std::vector<std::int64_t> digests;
  for (std::int64_t row = 0; row < values.size(0); ++row) {
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (std::int64_t i = 0; i < width; ++i)
      hash = (hash ^ words[row * width + i]) * 0x100000001b3u;
    digests.push_back(static_cast<std::int64_t>(hash));
  }
  return digests;
}

}  // namespace slotwise
