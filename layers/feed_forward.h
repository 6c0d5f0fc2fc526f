// The second half of a block: what maps a normed hidden state to an addition to the residual
// stream. A dense SwiGLU network is one; a memory layer is another.
#pragma once

#include <memory>

#include "layers/decoder_config.h"
#include "layers/forward_context.h"
#include "layers/linear.h"

namespace slotwise {

class FeedForward {
 public:
  virtual ~FeedForward() = default;
  virtual Variable forward(const Variable& x, const ForwardContext& context) = 0;
  virtual std::vector<Linear> linears() const = 0;  // those that LoRA may adapt
};

class SwigluFeedForward final : public FeedForward {
 public:
  SwigluFeedForward(ParameterRegistry& registry, const std::string& prefix,
                    const DecoderConfig& config);
  Variable forward(const Variable& x, const ForwardContext& context) override;
  std::vector<Linear> linears() const override { return {gate_, up_, down_}; }

 private:
  Linear gate_, up_, down_;
};

}  // namespace slotwise
