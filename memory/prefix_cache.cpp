#include "memory/prefix_cache.h"

#include <set>

#include "memory/memory_layer.h"

namespace slotwise {
namespace {

constexpr const char* kName = "prefix cache";

std::int64_t lowest_layer(const MemoryModel& model) {
  return model.config().memory.layers.front();
}

// Floats and slots that one token takes.
std::int64_t bytes_per_token(const ModelConfig& config) {
  const MemoryConfig& memory = config.memory;
  const std::int64_t hidden = config.decoder.hidden_size;
  return 4 * (hidden + 2 * memory.heads * memory.top_k + (memory.gate ? memory.value_dim : 0) +
              (memory.mode == MemoryMode::add ? hidden : 0));
}

}  // namespace

PrefixCache::PrefixCache(MemoryModel& model, const std::vector<TokenRows>& groups,
                         std::int64_t most_bytes)
    : model_(model) {
  SLOTWISE_CHECK(model.lowest_memory() != nullptr, "[prefix cache] expected a memory layer");
  for (const Parameter& parameter : model.parameters().all()) {
    SLOTWISE_CHECK(
        parameter.kind == ParameterKind::values || !parameter.variable.requires_grad(),
        "[prefix cache] expected a model of which only memory values train, but {} does too",
        parameter.name);
  }
  const TokenRows admitted = admit(groups, most_bytes);
  std::int64_t tokens = 0;
  for (const auto& row : admitted) tokens += static_cast<std::int64_t>(row.size());
  const ModelConfig& config = model.config();
  const std::int64_t reads = config.memory.heads * config.memory.top_k;
  const auto make = [&](std::int64_t width, DType dtype = DType::f32) {
    return Tensor::empty({tokens, width}, dtype, model.device(), kName);
  };
  residual_ = make(config.decoder.hidden_size);
  slots_ = make(reads, DType::i32);
  weights_ = make(reads);
  if (config.memory.gate) gate_ = make(config.memory.value_dim);
  if (config.memory.mode == MemoryMode::add) dense_ = make(config.decoder.hidden_size);
  constexpr std::size_t kRows = 64;
  std::int64_t first = 0;
  for (std::size_t begin = 0; begin < admitted.size(); begin += kRows) {
    const std::size_t end = std::min(admitted.size(), begin + kRows);
    const TokenRows chunk(admitted.begin() + static_cast<std::ptrdiff_t>(begin),
                          admitted.begin() + static_cast<std::ptrdiff_t>(end));
    fill(chunk, first);
    for (const auto& row : chunk) first += static_cast<std::int64_t>(row.size());
  }
  model_.decoder().set_prefix_source(this);
}

PrefixCache::~PrefixCache() {
  model_.decoder().set_prefix_source(nullptr);
}

TokenRows PrefixCache::admit(const std::vector<TokenRows>& groups, std::int64_t most_bytes) {
  const std::int64_t most_tokens = most_bytes / bytes_per_token(model_.config());
  TokenRows out;
  std::int64_t tokens = 0;
  for (const TokenRows& group : groups) {
    TokenRows fresh;
    std::set<std::vector<std::int32_t>> seen;
    std::int64_t length = 0;
    for (const auto& row : group) {
      if (row.empty() || first_token_.contains(row) || !seen.insert(row).second) continue;
      length += static_cast<std::int64_t>(row.size());
      fresh.push_back(row);
    }
    if (tokens + length > most_tokens) continue;
    for (const auto& row : fresh) {
      first_token_.emplace(row, tokens);
      tokens += static_cast<std::int64_t>(row.size());
    }
    out.insert(out.end(), fresh.begin(), fresh.end());
  }
  return out;
}

void PrefixCache::fill(const TokenRows& chunk, std::int64_t first) {
  const NoGrad no_grad;
  const PackedRows packed = pack_rows(chunk, model_.device());
  const auto input =
      model_.decoder().feed_forward_input(lowest_layer(model_), packed.tokens, packed.context);
  const MemoryLayer::Inputs inputs = model_.lowest_memory()->inputs(input.normed, packed.context);
  const std::int64_t end = first + packed.context.length;
  const auto keep = [&](const Tensor& to, const Tensor& from) {
    if (to.defined()) to.slice(first, end).copy_from(from);
  };
  keep(residual_, input.residual.value());
  keep(slots_, inputs.slots);
  keep(weights_, inputs.weights.value());
  if (gate_.defined()) keep(gate_, inputs.gate.value());
  if (dense_.defined()) keep(dense_, inputs.dense.value());
}

std::optional<PrefixSource::State> PrefixCache::find(const ForwardContext& context) const {
  if (!context.sequences || context.cache != nullptr || context.training) return std::nullopt;
  std::vector<std::int64_t> starts;
  for (const auto& row : *context.sequences) {
    const auto known = first_token_.find(row);
    if (known == first_token_.end()) return std::nullopt;
    starts.push_back(known->second);
  }
  const auto gather = [&](const Tensor& all) {
    if (!all.defined()) return Tensor();
    const Tensor out = Tensor::empty({context.length, all.size(1)}, all.dtype(), all.device(),
                                     "activation prefix");
    std::int64_t to = 0;
    for (std::size_t i = 0; i < starts.size(); ++i) {
      const auto length = static_cast<std::int64_t>((*context.sequences)[i].size());
      out.slice(to, to + length).copy_from(all.slice(starts[i], starts[i] + length));
      to += length;
    }
    return out;
  };
  const auto constant = [&](const Tensor& all) {
    return all.defined() ? Variable(gather(all)) : Variable();
  };
  const MemoryLayer::Inputs inputs{gather(slots_), constant(weights_), constant(gate_),
                                   constant(dense_)};
  return State{lowest_layer(model_), constant(residual_),
               model_.lowest_memory()->read(inputs, context)};
}

std::int64_t PrefixCache::bytes() const {
  return residual_.size(0) * bytes_per_token(model_.config());
}

}  // namespace slotwise
