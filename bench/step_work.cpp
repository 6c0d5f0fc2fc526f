#include "bench/step_work.h"

namespace slotwise::bench {
namespace {

// Forward FLOPs of a token below, in, and above the block where backward may stop.
struct Forward {
  double below = 0, above = 0;              // products with weights
  double pairs_below = 0, pairs_above = 0;  // of attention: queries with keys, weights with values
};

Forward forward_flops(const MemoryModel& model, double length) {
  const DecoderConfig& d = model.config().decoder;
  const MemoryConfig& m = model.config().memory;
  const std::int64_t lowest = m.present() ? m.layers.front() : 0;
  const double hidden = static_cast<double>(d.hidden_size);
  const double width = static_cast<double>(d.num_attention_heads * d.head_size());
  const double grouped = static_cast<double>(d.num_key_value_heads * d.head_size());
  // q, k, v and o, and half of all pairs of positions twice: scores and sums.
  const double weights = 2.0 * hidden * (2.0 * width + 2.0 * grouped);
  const double pairs = 2.0 * length * width;
  const double dense = 6.0 * hidden * static_cast<double>(d.intermediate_size);
  const double value = static_cast<double>(m.value_dim);
  const double projections = 2.0 * hidden * value * (m.gate ? 2.0 : 1.0);
  const double query = 2.0 * hidden * static_cast<double>(m.heads * m.key_dim);
  const double scores = 2.0 * static_cast<double>(m.heads * m.sub_keys * m.key_dim);
  const double bag = 2.0 * static_cast<double>(m.heads * m.top_k) * value;
  Forward out;
  out.above = 2.0 * hidden * static_cast<double>(d.vocab_size);
  for (std::int64_t layer = 0; layer < d.num_hidden_layers; ++layer) {
    const bool memory = m.table_of(layer) >= 0;
    const double block = weights + (memory ? 0.0 : dense);
    (layer > lowest ? out.above : out.below) += block;
    (layer > lowest ? out.pairs_above : out.pairs_below) += pairs;
    if (!memory) continue;
    out.below += query + scores + (m.mode == MemoryMode::add ? dense : 0.0);
    out.above += projections + bag;
  }
  return out;
}

}  // namespace

StepWork step_work(const MemoryModel& model, const std::string& mode,
                   const std::vector<TokenBatch>& batches) {
  StepWork out;
  for (const TokenBatch& batch : batches) {
    const Forward forward = forward_flops(model, static_cast<double>(batch.tokens.size(1)));
    const double all = forward.below + forward.above;
    const bool dense = mode == "pretrain" || mode == "full";
    // Both factors of attention's products are activations: their backward is twice the forward
    // wherever a gradient passes.
    const bool partial = !dense && mode != "lora";
    const double of_weights = dense ? 3.0 * all : partial ? all + forward.above : 2.0 * all;
    const double of_pairs = (partial ? 1.0 : 3.0) * forward.pairs_below + 3.0 * forward.pairs_above;
    const double token = of_weights + of_pairs;
    const auto tokens = static_cast<double>(batch.valid_tokens);
    out.tokens += tokens / static_cast<double>(batches.size());
    out.flops += tokens * token / static_cast<double>(batches.size());
  }
  return out;
}

}  // namespace slotwise::bench
