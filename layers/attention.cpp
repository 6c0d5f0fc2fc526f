#include "layers/attention.h"

#include <cmath>

#include "kernels/elementwise.h"
#include "layers/functional/rms_norm.h"
#include "layers/functional/view.h"

namespace slotwise {

SelfAttention::SelfAttention(ParameterRegistry& registry, const std::string& prefix,
                             const DecoderConfig& config, std::int64_t layer, RotaryTable rotary)
    : config_(config), layer_(layer), rotary_(std::move(rotary)) {
  const std::int64_t hidden = config.hidden_size, size = config.head_size();
  const std::int64_t q = config.num_attention_heads * size, kv = config.num_key_value_heads * size;
  const Init in = Init::normal(std::pow(hidden, -0.5));
  const Init out = Init::normal(std::pow(q, -0.5) /
                                std::sqrt(2.0 * static_cast<double>(config.num_hidden_layers)));
  query_ = Linear(registry, prefix + "q_proj", hidden, q, in);
  key_ = Linear(registry, prefix + "k_proj", hidden, kv, in);
  value_ = Linear(registry, prefix + "v_proj", hidden, kv, in);
  output_ = Linear(registry, prefix + "o_proj", q, hidden, out);
  if (config.qk_norm) {
    const Init one = Init::constant(1.0f);
    query_gain_ = registry.create(prefix + "q_norm.weight", {size}, ParameterKind::vector, one);
    key_gain_ = registry.create(prefix + "k_norm.weight", {size}, ParameterKind::vector, one);
  }
}

// Projected, normed and rotated heads: [B, T, count, D].
Variable SelfAttention::heads(const Linear& projection, const Variable& x, const Variable& gain,
                              std::int64_t count, const ForwardContext& context) const {
  const Shape shape{context.batch, context.length, count, config_.head_size()};
  Variable y = view(projection(x), shape);
  if (gain.defined()) y = rms_norm(y, gain, static_cast<float>(config_.rms_norm_eps));
  return rotary(y, context.positions, rotary_);
}

Variable SelfAttention::operator()(const Variable& x, const ForwardContext& context) const {
  const std::int64_t q_heads = config_.num_attention_heads, kv_heads = config_.num_key_value_heads;
  const Variable q = heads(query_, x, query_gain_, q_heads, context);
  const Variable k = heads(key_, x, key_gain_, kv_heads, context);
  const Variable v =
      view(value_(x), {context.batch, context.length, kv_heads, config_.head_size()});
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(config_.head_size())));
  const Variable out = context.cache != nullptr ? attend_cached(q, k, v, context)
                                                : attention(q, k, v, context.mask, scale);
  return output_(view(out, {context.batch * context.length, q_heads * config_.head_size()}));
}

// Generation: the new keys and values join those of the past, which the queries then see.
Variable SelfAttention::attend_cached(const Variable& q, const Variable& k, const Variable& v,
                                      const ForwardContext& context) const {
  const Tensor& keys = context.cache->keys[static_cast<std::size_t>(layer_)];
  const Tensor& values = context.cache->values[static_cast<std::size_t>(layer_)];
  const std::int64_t width = config_.num_key_value_heads * config_.head_size();
  const auto store = [&](const Tensor& cache, const Tensor& fresh) {
    kernels::scatter_rows({.x = cache.view({cache.elements() / width, width}),
                           .y = fresh.view({fresh.elements() / width, width}),
                           .rows = context.cache_rows});
  };
  store(keys, k.value());
  store(values, v.value());
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(config_.head_size())));
  return attention(q, Variable(keys), Variable(values), context.mask, scale);
}

}  // namespace slotwise
