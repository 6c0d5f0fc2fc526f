// Llama-style decoder: embedding, blocks of attention and feed-forward, final norm, output head.
// The feed-forward of each layer comes from a factory, which is how a memory layer takes its place.
#pragma once

#include <functional>
#include <memory>

#include "layers/attention.h"
#include "layers/feed_forward.h"

namespace slotwise {

using FeedForwardFactory = std::function<std::unique_ptr<FeedForward>(
    ParameterRegistry& registry, const std::string& layer_prefix, std::int64_t layer)>;

class Decoder {
 public:
  Decoder(ParameterRegistry& registry, const DecoderConfig& config,
          const FeedForwardFactory& feed_forward);

  // tokens: [B, T] i32, or [1, M] of packed rows -> hidden states after the final norm, [M,
  // hidden].
  Variable hidden(const Tensor& tokens, const ForwardContext& context);
  // [V, hidden]: the output head, or the embedding where tied.
  const Variable& head() const { return head_; }
  const DecoderConfig& config() const { return config_; }
  std::vector<Linear> linears() const;  // of all attention and feed-forward parts
  std::vector<Linear> attention_linears() const;
  // Recompute each block in backward instead of keeping its activations.
  void set_activation_checkpointing(bool on) { checkpointing_ = on; }

 private:
  struct Block {
    Variable input_gain, post_attention_gain;
    std::unique_ptr<SelfAttention> attention;
    std::unique_ptr<FeedForward> feed_forward;
  };
  struct Stream {
    Variable residual;  // sum of all additions but the last
    Variable addition;  // undefined before the first block
  };
  Stream run_block(const Block& block, const Stream& in, const ForwardContext& context) const;
  Variable run_block_folded(const Block& block, const Variable& x,
                            const ForwardContext& context) const;

  DecoderConfig config_;
  Variable embedding_, head_, final_gain_;
  std::vector<Block> blocks_;
  bool checkpointing_ = false;
};

// Context for a plain causal forward over right-padded rows. valid: [B * T] u8 or undefined.
ForwardContext make_context(const Tensor& tokens, const Tensor& valid, Device device);
// The same for rows of the given lengths packed one after another: no work is done for padding.
// valid: [M] u8 or undefined, M the sum of the lengths.
ForwardContext packed_context(const std::vector<std::int64_t>& lengths, const Tensor& valid,
                              Device device);

}  // namespace slotwise
