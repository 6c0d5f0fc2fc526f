#include "layers/feed_forward.h"

#include <cmath>

#include "layers/functional/swiglu.h"

namespace slotwise {

SwigluFeedForward::SwigluFeedForward(ParameterRegistry& registry, const std::string& prefix,
                                     const DecoderConfig& config) {
  const std::int64_t hidden = config.hidden_size, inner = config.intermediate_size;
  const Init in = Init::normal(std::pow(hidden, -0.5));
  const Init out = Init::normal(std::pow(inner, -0.5) /
                                std::sqrt(2.0 * static_cast<double>(config.num_hidden_layers)));
  gate_ = Linear(registry, prefix + "gate_proj", hidden, inner, in);
  up_ = Linear(registry, prefix + "up_proj", hidden, inner, in);
  down_ = Linear(registry, prefix + "down_proj", inner, hidden, out);
}

Variable SwigluFeedForward::forward(const Variable& x, const ForwardContext&) {
  return down_(swiglu(gate_(x), up_(x)));
}

}  // namespace slotwise
