// A decoder small enough for tests, without memory, with the registry that owns its parameters.
#pragma once

#include "layers/decoder.h"

namespace slotwise::testing {

inline DecoderConfig tiny_decoder_config() {
  DecoderConfig config;
  config.vocab_size = 23;
  config.hidden_size = 16;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 4;
  config.num_key_value_heads = 2;
  config.intermediate_size = 24;
  config.max_position_embeddings = 48;
  config.embedding_std = 1.0;
  return config;
}

struct TinyDecoder {
  ParameterRegistry registry;
  Decoder decoder;

  explicit TinyDecoder(const DecoderConfig& config = tiny_decoder_config(), std::uint64_t seed = 1)
      : registry(seed, {}),
        decoder(registry, config,
                [config](ParameterRegistry& owner, const std::string& prefix, std::int64_t) {
                  return std::make_unique<SwigluFeedForward>(owner, prefix + "mlp.", config);
                }) {}

  Tensor hidden(const Tensor& tokens, const Tensor& valid = {}) {
    const NoGrad no_grad;
    return decoder.hidden(tokens, make_context(tokens, valid, {})).value();
  }
};

}  // namespace slotwise::testing
