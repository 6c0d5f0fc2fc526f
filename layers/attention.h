// Self-attention: projections, optional norm of heads, rotation, grouped-query attention, output.
#pragma once

#include "layers/decoder_config.h"
#include "layers/forward_context.h"
#include "layers/functional/rotary.h"
#include "layers/linear.h"

namespace slotwise {

class SelfAttention {
 public:
  SelfAttention(ParameterRegistry& registry, const std::string& prefix, const DecoderConfig& config,
                std::int64_t layer, RotaryTable rotary);

  // x: [B * T, hidden] -> the same.
  Variable operator()(const Variable& x, const ForwardContext& context) const;
  std::vector<Linear> linears() const { return {query_, key_, value_, output_}; }

 private:
  Variable heads(const Linear& projection, const Variable& x, const Variable& gain,
                 std::int64_t count, const ForwardContext& context) const;
  Variable attend_cached(const Variable& q, const Variable& k, const Variable& v,
                         const ForwardContext& context) const;

  DecoderConfig config_;
  std::int64_t layer_;
  RotaryTable rotary_;
  Linear query_, key_, value_, output_;
  Variable query_gain_, key_gain_;  // undefined without qk_norm
};

}  // namespace slotwise
