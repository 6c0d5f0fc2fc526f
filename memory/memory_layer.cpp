#include "memory/memory_layer.h"

#include <cmath>

#include "core/trace.h"
#include "layers/functional/add_scaled.h"
#include "layers/functional/swiglu.h"

namespace slotwise {

MemoryLayer::MemoryLayer(ParameterRegistry& registry, const std::string& prefix,
                         const MemoryConfig& config, const DecoderConfig& decoder, ValueTable table,
                         std::shared_ptr<const MemoryHooks> hooks,
                         std::unique_ptr<FeedForward> dense)
    : query_(registry, prefix, config, decoder.hidden_size),
      table_(std::move(table)),
      hooks_(std::move(hooks)),
      dense_(std::move(dense)),
      gated_(config.gate) {
  const std::int64_t hidden = decoder.hidden_size, width = config.value_dim;
  if (gated_) {
    gate_ = Linear(registry, prefix + "gate", hidden, width, Init::normal(std::pow(hidden, -0.5)));
  }
  const double depth = std::sqrt(2.0 * static_cast<double>(decoder.num_hidden_layers));
  output_ = Linear(registry, prefix + "output", width, hidden,
                   Init::normal(std::pow(width, -0.5) / depth));
  if (config.mode == MemoryMode::add) {
    alpha_ = registry.create(prefix + "alpha", {1}, ParameterKind::vector,
                             Init::constant(static_cast<float>(config.alpha)));
  }
}

Variable MemoryLayer::memory(const Variable& x, const ForwardContext& context) const {
  const TraceRange range("memory");
  const KeyLookup lookup = query_(x, context);
  if (hooks_->on_access && !recomputing()) {
    hooks_->on_access({table_.index, lookup.slots, lookup.weights.value(), context.valid});
  }
  KeepBag keep;
  if (hooks_->keep) {
    keep = [hooks = hooks_, table = table_.index](const KeptBag& bag) { hooks->keep(table, bag); };
  }
  Variable y = weighted_bag(table_.values, lookup.slots, lookup.weights, keep);
  if (gated_) y = swiglu(gate_(x), y);
  return output_(y);
}

Variable MemoryLayer::forward(const Variable& x, const ForwardContext& context) {
  if (hooks_->disabled) {
    if (dense_) return dense_->forward(x, context);
    return Variable(
        Tensor::zeros(x.shape(), DType::f32, x.value().device(), "activation residual"));
  }
  const Variable addition = memory(x, context);
  return dense_ ? add_scaled(dense_->forward(x, context), addition, alpha_) : addition;
}

std::vector<Linear> MemoryLayer::linears() const {
  return dense_ ? dense_->linears() : std::vector<Linear>{};
}

}  // namespace slotwise
