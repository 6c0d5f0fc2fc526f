// Llama-style decoder: embedding, blocks of attention and feed-forward, final norm, output head.
// The feed-forward of each layer comes from a factory, which is how a memory layer takes its place.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "layers/attention.h"
#include "layers/feed_forward.h"
#include "layers/functional/rms_norm.h"

namespace slotwise {

using FeedForwardFactory = std::function<std::unique_ptr<FeedForward>(
    ParameterRegistry& registry, const std::string& layer_prefix, std::int64_t layer)>;

// Knows what a frozen part of the model, from the embedding through one layer's feed-forward part,
// makes of sequences that are seen again and again. See memory/prefix_cache.h.
class PrefixSource {
 public:
  struct State {
    std::int64_t layer = 0;
    Variable residual;  // the stream after attention and its own addition to it
    Variable addition;  // of the feed-forward part
  };
  virtual ~PrefixSource() = default;
  // Nothing when it does not know all sequences of the batch.
  virtual std::optional<State> find(const ForwardContext& context) const = 0;
};

class Decoder {
 public:
  Decoder(ParameterRegistry& registry, const DecoderConfig& config,
          const FeedForwardFactory& feed_forward);

  // tokens: [B, T] i32, or [1, M] of packed rows -> hidden states after the final norm, [M,
  // hidden].
  Variable hidden(const Tensor& tokens, const ForwardContext& context);
  // The blocks below the feed-forward part of `layer`: its normed input, and the residual stream.
  struct FeedForwardInput {
    Variable normed, residual;
  };
  FeedForwardInput feed_forward_input(std::int64_t layer, const Tensor& tokens,
                                      const ForwardContext& context);
  // hidden() asks `source` first while one is set; null takes it off. One at a time.
  void set_prefix_source(const PrefixSource* source);
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
  NormedSum attend(const Block& block, const Stream& in, const ForwardContext& context) const;
  Stream run_block(const Block& block, const Stream& in, const ForwardContext& context) const;
  Stream run_layer(std::size_t layer, const Stream& in, const ForwardContext& context) const;
  void check_length(const ForwardContext& context) const;
  Variable run_block_folded(const Block& block, const Variable& x,
                            const ForwardContext& context) const;

  DecoderConfig config_;
  Variable embedding_, head_, final_gain_;
  std::vector<Block> blocks_;
  bool checkpointing_ = false;
  const PrefixSource* prefix_ = nullptr;
};

// Context for a plain causal forward over right-padded rows. valid: [B * T] u8 or undefined.
ForwardContext make_context(const Tensor& tokens, const Tensor& valid, Device device);
// Rows one after another: no work is done for padding. tokens: [1, M], M the sum of the lengths.
struct PackedRows {
  Tensor tokens;
  ForwardContext context;
};
PackedRows pack_rows(TokenRows rows, Device device);

}  // namespace slotwise
