#include "layers/decoder_config.h"

#include "core/error.h"

namespace slotwise {
namespace {

void expect_positive(const char* field, std::int64_t value) {
  if (value <= 0) user_error("model config: {} must be positive, got {}", field, value);
}

}  // namespace

void check(const DecoderConfig& config) {
  expect_positive("vocab_size", config.vocab_size);
  expect_positive("hidden_size", config.hidden_size);
  expect_positive("num_hidden_layers", config.num_hidden_layers);
  expect_positive("num_attention_heads", config.num_attention_heads);
  expect_positive("num_key_value_heads", config.num_key_value_heads);
  expect_positive("intermediate_size", config.intermediate_size);
  expect_positive("max_position_embeddings", config.max_position_embeddings);
  constexpr std::int64_t kMostPositions = 1 << 24;  // the rotary table has a row for each
  if (config.max_position_embeddings > kMostPositions) {
    user_error("model config: max_position_embeddings must be at most {}, got {}", kMostPositions,
               config.max_position_embeddings);
  }
  if (config.head_dim < 0) {
    user_error("model config: head_dim must be positive, or 0 for hidden_size / heads, got {}",
               config.head_dim);
  }
  if (config.num_attention_heads % config.num_key_value_heads != 0) {
    user_error(
        "model config: num_attention_heads ({}) must be a multiple of num_key_value_heads ({})",
        config.num_attention_heads, config.num_key_value_heads);
  }
  if (config.head_dim == 0 && config.hidden_size % config.num_attention_heads != 0) {
    user_error(
        "model config: hidden_size ({}) must be a multiple of num_attention_heads ({}), or "
        "head_dim "
        "be given",
        config.hidden_size, config.num_attention_heads);
  }
  if (config.head_size() % 2 != 0) {
    user_error("model config: the head size must be even for rotary embedding, got {}",
               config.head_size());
  }
  if (!(config.rms_norm_eps > 0) || !(config.rope_theta > 0)) {
    user_error("model config: rms_norm_eps and rope_theta must be positive, got {} and {}",
               config.rms_norm_eps, config.rope_theta);
  }
}

}  // namespace slotwise
