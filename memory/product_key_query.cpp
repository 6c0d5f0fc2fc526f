#include "memory/product_key_query.h"

#include <cmath>

#include "layers/functional/rms_norm.h"
#include "layers/functional/view.h"

namespace slotwise {

ProductKeyQuery::ProductKeyQuery(ParameterRegistry& registry, const std::string& prefix,
                                 const MemoryConfig& config, std::int64_t hidden_size)
    : config_(config) {
  const std::int64_t features = config.heads * config.key_dim, half = config.key_dim / 2;
  const Init one = Init::constant(1.0f), zero = Init::constant(0.0f);
  // Xavier (Glorot & Bengio 2010) over input and one head's output.
  query_ = Linear(registry, prefix + "query", hidden_size, features,
                  Init::normal(std::sqrt(2.0 / static_cast<double>(hidden_size + config.key_dim))));
  const double bound = std::pow(half, -0.5);
  keys_ = registry.create(prefix + "keys", {config.heads, 2, config.sub_keys, half},
                          ParameterKind::matrix,
                          config.key_std > 0 ? Init::normal(config.key_std) : Init::uniform(bound));
  if (config.query_norm == QueryNorm::rms && config.norm_gain) {
    query_gain_ =
        registry.create(prefix + "query_norm.weight", {config.key_dim}, ParameterKind::vector, one);
  }
  if (config.key_norm == KeyNorm::rms && config.norm_gain) {
    key_gain_ = registry.create(prefix + "key_norm.weight", {half}, ParameterKind::vector, one);
  }
  if (config.query_norm == QueryNorm::batch) {
    const std::string name = prefix + "query_batch_norm.";
    batch_gain_ = registry.create(name + "weight", {features}, ParameterKind::vector, one);
    batch_bias_ = registry.create(name + "bias", {features}, ParameterKind::vector, zero);
    batch_state_.running_mean =
        registry.create(name + "running_mean", {features}, ParameterKind::buffer, zero).value();
    batch_state_.running_variance =
        registry.create(name + "running_var", {features}, ParameterKind::buffer, one).value();
  }
}

Variable ProductKeyQuery::normed_query(const Variable& x, const ForwardContext& context) const {
  Variable query = query_(x);
  const Shape halves{query.shape()[0], config_.heads, 2, config_.key_dim / 2};
  switch (config_.query_norm) {
    case QueryNorm::none:
      return view(query, halves);
    case QueryNorm::batch:
      return view(batch_norm(query, batch_gain_, batch_bias_, batch_state_, context.valid,
                             context.training),
                  halves);
    case QueryNorm::rms:
      break;
  }
  // Rows alternate between the two halves, so gain row r % 2 is the half's own.
  const Variable gain =
      query_gain_.defined() ? view(query_gain_, {2, config_.key_dim / 2}) : Variable();
  return rms_norm(view(query, halves), gain, static_cast<float>(config_.norm_eps));
}

Variable ProductKeyQuery::normed_keys() const {
  if (config_.key_norm == KeyNorm::none) return keys_;
  return rms_norm(keys_, key_gain_, static_cast<float>(config_.norm_eps));
}

KeyLookup ProductKeyQuery::operator()(const Variable& x, const ForwardContext& context) const {
  return product_key_lookup(normed_query(x, context), normed_keys(), config_.top_k);
}

}  // namespace slotwise
