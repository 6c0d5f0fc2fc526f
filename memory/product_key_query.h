// From a hidden state to slots and weights: query projection, optional norms, product-key lookup.
// x: [M, hidden]; query halves [M, H, 2, key_dim / 2]; sub-keys [H, 2, n, key_dim / 2].
#pragma once

#include "layers/forward_context.h"
#include "layers/functional/batch_norm.h"
#include "layers/functional/product_key_lookup.h"
#include "layers/linear.h"
#include "memory/memory_config.h"

namespace slotwise {

class ProductKeyQuery {
 public:
  ProductKeyQuery(ParameterRegistry& registry, const std::string& prefix,
                  const MemoryConfig& config, std::int64_t hidden_size);

  KeyLookup operator()(const Variable& x, const ForwardContext& context) const;

 private:
  Variable normed_query(const Variable& x, const ForwardContext& context) const;
  Variable normed_keys() const;

  MemoryConfig config_;
  Linear query_;
  Variable keys_;
  Variable query_gain_;  // [2, key_dim / 2] read from query_norm.weight, or undefined
  Variable key_gain_;    // [key_dim / 2] or undefined
  Variable batch_gain_, batch_bias_;
  BatchNormState batch_state_;
};

}  // namespace slotwise
