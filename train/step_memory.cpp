#include "train/step_memory.h"

#include <fmt/format.h>

#include <algorithm>

namespace slotwise {
namespace {

// Floats a token that the backward of a block's attention reads: residual stream, normed input, q,
// k, v, mixed heads, and the sum in front of the feed-forward part with its normed form.
std::int64_t attention_floats(const DecoderConfig& c) {
  const std::int64_t heads = c.num_attention_heads * c.head_size();
  const std::int64_t kv_heads = c.num_key_value_heads * c.head_size();
  return 4 * c.hidden_size + 2 * heads + 2 * kv_heads + c.num_attention_heads;
}

std::int64_t dense_floats(const DecoderConfig& c) {
  return 3 * c.intermediate_size;  // gate, up, their product
}

std::int64_t memory_floats(const MemoryConfig& m) {
  const std::int64_t reads = 2 * m.heads * m.top_k;  // slots and weights
  return reads + (m.gate ? 3 : 1) * m.value_dim;     // bag, gate, their product
}

std::int64_t block_floats(const ModelConfig& config, std::int64_t layer) {
  const bool memory = config.memory.table_of(layer) >= 0;
  const bool dense = !memory || config.memory.mode == MemoryMode::add;
  return attention_floats(config.decoder) + (memory ? memory_floats(config.memory) : 0) +
         (dense ? dense_floats(config.decoder) : 0);
}

std::string mebibytes(std::int64_t bytes) {
  return fmt::format("{:.2f} MiB", static_cast<double>(bytes) / (1024.0 * 1024.0));
}

}  // namespace

StepMinimum step_minimum(const MemoryModel& model, std::int64_t tokens, std::int64_t state,
                         std::int64_t adapters, NeededActivations needed) {
  const ModelConfig& config = model.config();
  const std::int64_t hidden = config.decoder.hidden_size;
  std::int64_t floats = hidden;  // what the head reads
  std::int64_t layer = 0, largest = 0;
  if (needed == NeededActivations::above_memory) {
    floats += memory_floats(config.memory);
    layer = config.memory.layers.front() + 1;
  }
  for (; layer < config.decoder.num_hidden_layers; ++layer) {
    const std::int64_t block = block_floats(config, layer);
    largest = std::max(largest, block);
    floats += needed == NeededActivations::checkpoints ? hidden : block;
  }
  if (needed == NeededActivations::checkpoints) floats += largest;
  return {.parameters = 4 * model.parameters().count() + adapters,
          .state = state,
          .activations = 4 * tokens * floats};
}

std::string step_memory_text(const PoolReport& report, const StepMinimum& minimum) {
  const auto peak = static_cast<std::int64_t>(report.peak_bytes);
  return report.table() +
         fmt::format(
             "peak of a step {}, {:.2f} x the minimum of {}: parameters {}, optimizer state and "
             "its gradients {}, activations that backward needs {}\n",
             mebibytes(peak), static_cast<double>(peak) / static_cast<double>(minimum.all()),
             mebibytes(minimum.all()), mebibytes(minimum.parameters), mebibytes(minimum.state),
             mebibytes(minimum.activations));
}

}  // namespace slotwise
