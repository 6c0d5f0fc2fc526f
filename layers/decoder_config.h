// Shape of a Llama-style decoder. Field names are those of Hugging Face's config.json.
#pragma once

#include <cstdint>

namespace slotwise {

struct DecoderConfig {
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t num_hidden_layers = 0;
  std::int64_t num_attention_heads = 0;
  std::int64_t num_key_value_heads = 0;
  std::int64_t head_dim = 0;  // 0: hidden_size / num_attention_heads
  std::int64_t intermediate_size = 0;
  std::int64_t max_position_embeddings = 2048;
  double rms_norm_eps = 1e-5;
  double rope_theta = 10000.0;
  bool tie_word_embeddings = false;
  bool qk_norm = false;  // RMS norm of every query and key head before the rotation

  // Initial scale of the token embedding; projections have std in^-1/2, and those that write into
  // the residual stream are further divided by sqrt(2 * layers).
  double embedding_std = 0.02;

  std::int64_t head_size() const {
    return head_dim > 0 ? head_dim : hidden_size / num_attention_heads;
  }
};

// Throws UserError naming the field and what would do.
void check(const DecoderConfig& config);

}  // namespace slotwise
