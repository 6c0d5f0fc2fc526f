#include "layers/decoder.h"

#include <algorithm>
#include <cmath>

#include "core/trace.h"
#include "layers/functional/add.h"
#include "layers/functional/embedding.h"
#include "layers/functional/rms_norm.h"

namespace slotwise {

Decoder::Decoder(ParameterRegistry& registry, const DecoderConfig& config,
                 const FeedForwardFactory& feed_forward)
    : config_(config) {
  check(config);
  const Init one = Init::constant(1.0f);
  embedding_ = registry.create("model.embed_tokens.weight", {config.vocab_size, config.hidden_size},
                               ParameterKind::embedding, Init::normal(config.embedding_std));
  const RotaryTable rotary = make_rotary_table(config.max_position_embeddings, config.head_size(),
                                               config.rope_theta, registry.device());
  for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    const std::string prefix = fmt::format("model.layers.{}.", layer);
    Block block;
    block.input_gain = registry.create(prefix + "input_layernorm.weight", {config.hidden_size},
                                       ParameterKind::vector, one);
    block.attention =
        std::make_unique<SelfAttention>(registry, prefix + "self_attn.", config, layer, rotary);
    block.post_attention_gain = registry.create(prefix + "post_attention_layernorm.weight",
                                                {config.hidden_size}, ParameterKind::vector, one);
    block.feed_forward = feed_forward(registry, prefix, layer);
    blocks_.push_back(std::move(block));
  }
  final_gain_ =
      registry.create("model.norm.weight", {config.hidden_size}, ParameterKind::vector, one);
  head_ = config.tie_word_embeddings
              ? embedding_
              : registry.create("lm_head.weight", {config.vocab_size, config.hidden_size},
                                ParameterKind::matrix,
                                Init::normal(std::pow(config.hidden_size, -0.5)));
}

NormedSum Decoder::attend(const Block& block, const Stream& in,
                          const ForwardContext& context) const {
  const auto epsilon = static_cast<float>(config_.rms_norm_eps);
  NormedSum first;
  if (in.addition.defined()) {
    first = add_rms_norm(in.residual, in.addition, block.input_gain, epsilon);
  } else {
    first = {rms_norm(in.residual, block.input_gain, epsilon), in.residual};
  }
  const TraceRange range("attention");
  const Variable attended = (*block.attention)(first.normed, context);
  return add_rms_norm(first.sum, attended, block.post_attention_gain, epsilon);
}

Decoder::Stream Decoder::run_block(const Block& block, const Stream& in,
                                   const ForwardContext& context) const {
  const NormedSum sum = attend(block, in, context);
  const TraceRange range("feed_forward");
  return {sum.sum, block.feed_forward->forward(sum.normed, context)};
}

Variable Decoder::run_block_folded(const Block& block, const Variable& x,
                                   const ForwardContext& context) const {
  const Stream out = run_block(block, {x, {}}, context);
  return add(out.residual, out.addition);
}

Decoder::Stream Decoder::run_layer(std::size_t layer, const Stream& in,
                                   const ForwardContext& context) const {
  const TraceRange range("layer", static_cast<std::int64_t>(layer));
  const Block& block = blocks_[layer];
  if (!checkpointing_ || !recording()) return run_block(block, in, context);
  const auto body = [this, &block, context](const std::vector<Variable>& inputs) {
    return run_block_folded(block, inputs[0], context);
  };
  const Variable x = in.addition.defined() ? add(in.residual, in.addition) : in.residual;
  return {checkpoint(body, {x}, true), {}};
}

void Decoder::check_length(const ForwardContext& context) const {
  SLOTWISE_CHECK(context.longest_sequence() <= config_.max_position_embeddings,
                 "[decoder] sequence of {} tokens is longer than max_position_embeddings {}",
                 context.longest_sequence(), config_.max_position_embeddings);
}

void Decoder::set_prefix_source(const PrefixSource* source) {
  SLOTWISE_CHECK(source == nullptr || prefix_ == nullptr,
                 "[decoder] something provides prefixes to this model already");
  prefix_ = source;
}

Variable Decoder::hidden(const Tensor& tokens, const ForwardContext& context) {
  check_length(context);
  const auto epsilon = static_cast<float>(config_.rms_norm_eps);
  Stream stream;
  std::size_t layer = 0;
  if (const auto known = prefix_ == nullptr ? std::nullopt : prefix_->find(context)) {
    stream = {known->residual, known->addition};
    layer = static_cast<std::size_t>(known->layer) + 1;
  } else {
    stream.residual = embedding(embedding_, tokens);
  }
  for (; layer < blocks_.size(); ++layer) stream = run_layer(layer, stream, context);
  if (!stream.addition.defined()) return rms_norm(stream.residual, final_gain_, epsilon);
  return add_rms_norm(stream.residual, stream.addition, final_gain_, epsilon).normed;
}

Decoder::FeedForwardInput Decoder::feed_forward_input(std::int64_t layer, const Tensor& tokens,
                                                      const ForwardContext& context) {
  check_length(context);
  const auto last = static_cast<std::size_t>(layer);
  Stream stream{embedding(embedding_, tokens), {}};
  for (std::size_t i = 0; i < last; ++i) stream = run_layer(i, stream, context);
  const NormedSum sum = attend(blocks_[last], stream, context);
  return {sum.normed, sum.sum};
}

std::vector<Linear> Decoder::attention_linears() const {
  std::vector<Linear> out;
  for (const Block& block : blocks_) {
    for (const Linear& linear : block.attention->linears()) out.push_back(linear);
  }
  return out;
}

std::vector<Linear> Decoder::linears() const {
  std::vector<Linear> out;
  for (const Block& block : blocks_) {
    for (const Linear& linear : block.attention->linears()) out.push_back(linear);
    for (const Linear& linear : block.feed_forward->linears()) out.push_back(linear);
  }
  return out;
}

ForwardContext make_context(const Tensor& tokens, const Tensor& valid, Device device) {
  ForwardContext context;
  context.batch = tokens.size(0);
  context.length = tokens.size(1);
  std::vector<std::int32_t> positions;
  for (std::int64_t b = 0; b < context.batch; ++b) {
    for (std::int64_t t = 0; t < context.length; ++t) {
      positions.push_back(static_cast<std::int32_t>(t));
    }
  }
  context.positions =
      Tensor::from(positions, {context.batch * context.length}, device, "positions");
  context.valid = valid;
  return context;
}

PackedRows pack_rows(TokenRows rows, Device device) {
  std::vector<std::int32_t> tokens, positions, offsets{0};
  PackedRows out;
  ForwardContext& context = out.context;
  for (const auto& row : rows) {
    tokens.insert(tokens.end(), row.begin(), row.end());
    for (std::size_t t = 0; t < row.size(); ++t) positions.push_back(static_cast<std::int32_t>(t));
    offsets.push_back(static_cast<std::int32_t>(tokens.size()));
    context.mask.longest = std::max(context.mask.longest, static_cast<std::int64_t>(row.size()));
  }
  context.batch = 1;
  context.length = static_cast<std::int64_t>(tokens.size());
  context.positions = Tensor::from(positions, {context.length}, device, "positions");
  context.mask.offsets =
      Tensor::from(offsets, {static_cast<std::int64_t>(offsets.size())}, device, "positions");
  context.sequences = std::make_shared<const TokenRows>(std::move(rows));
  out.tokens = Tensor::from(tokens, {1, context.length}, device, "tokens");
  return out;
}

}  // namespace slotwise
