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
      gated_(config.gate),
      hidden_size_(decoder.hidden_size) {
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

MemoryLayer::Inputs MemoryLayer::inputs(const Variable& x, const ForwardContext& context) const {
  Inputs out;
  if (dense_) out.dense = dense_->forward(x, context);
  if (hooks_->disabled) return out;
  const TraceRange range("memory");
  const KeyLookup lookup = query_(x, context);
  out.slots = lookup.slots;
  out.weights = lookup.weights;
  if (gated_) out.gate = gate_(x);
  return out;
}

Variable MemoryLayer::memory(const Inputs& inputs, const ForwardContext& context) const {
  const TraceRange range("memory");
  if (hooks_->on_access && !recomputing()) {
    hooks_->on_access({table_.index, inputs.slots, inputs.weights.value(), context.valid,
                       context.mask.offsets, context.length});
  }
  KeepBag keep;
  if (hooks_->keep) {
    keep = [hooks = hooks_, table = table_.index](const KeptBag& bag) { hooks->keep(table, bag); };
  }
  Variable y = weighted_bag(table_.values, inputs.slots, inputs.weights, keep);
  if (gated_) y = swiglu(inputs.gate, y);
  return output_(y);
}

Variable MemoryLayer::read(const Inputs& inputs, const ForwardContext& context) const {
  if (!hooks_->disabled) {
    const Variable addition = memory(inputs, context);
    return inputs.dense.defined() ? add_scaled(inputs.dense, addition, alpha_) : addition;
  }
  if (inputs.dense.defined()) return inputs.dense;
  return Variable(Tensor::zeros({context.batch * context.length, hidden_size_}, DType::f32,
                                table_.values.value().device(), "activation residual"));
}

Variable MemoryLayer::forward(const Variable& x, const ForwardContext& context) {
  return read(inputs(x, context), context);
}

std::vector<Linear> MemoryLayer::linears() const {
  return dense_ ? dense_->linears() : std::vector<Linear>{};
}

}  // namespace slotwise
