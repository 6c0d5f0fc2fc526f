#include "layers/generation.h"

#include <algorithm>
#include <limits>

#include "core/random.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "layers/functional/precision.h"
#include "layers/token_sampler.h"

namespace slotwise {
namespace {

using Sequences = TokenRows;

// One forward over `fresh` tokens per row.
struct Chunk {
  Tensor tokens;  // [B, T] i32, or [1, M] packed
  ForwardContext context;
  std::vector<std::int32_t> last;  // where each row's last token stands
};

// Rows one after another, with no past.
Chunk make_packed_chunk(const Sequences& fresh, Device device) {
  const PackedRows packed = pack_rows(fresh, device);
  Chunk chunk{packed.tokens, packed.context, {}};
  std::int32_t end = 0;
  for (const auto& row : fresh) {
    end += static_cast<std::int32_t>(row.size());
    chunk.last.push_back(end - 1);
  }
  return chunk;
}

// Right-padded, behind the `past` tokens that the cache holds.
Chunk make_cached_chunk(const Sequences& fresh, KeyValueCache& cache,
                        const std::vector<std::int32_t>& past, Device device) {
  Chunk chunk;
  const auto batch = static_cast<std::int64_t>(fresh.size());
  std::size_t longest = 0;
  for (const auto& row : fresh) longest = std::max(longest, row.size());
  std::vector<std::int32_t> tokens, positions, cache_rows, key_length;
  std::vector<std::uint8_t> valid;
  for (std::size_t b = 0; b < fresh.size(); ++b) {
    for (std::size_t t = 0; t < longest; ++t) {
      const bool real = t < fresh[b].size();
      const std::int32_t position = past[b] + static_cast<std::int32_t>(t);
      tokens.push_back(real ? fresh[b][t] : 0);
      valid.push_back(real ? 1 : 0);
      positions.push_back(position);
      // Padding lands behind the row's own tokens, where the next real token overwrites it.
      cache_rows.push_back(
          static_cast<std::int32_t>(static_cast<std::int64_t>(b) * cache.capacity) + position);
    }
    chunk.last.push_back(static_cast<std::int32_t>(b * longest + fresh[b].size()) - 1);
    key_length.push_back(past[b] + static_cast<std::int32_t>(fresh[b].size()));
  }
  const auto length = static_cast<std::int64_t>(longest);
  const Shape flat{batch * length};
  chunk.tokens = Tensor::from(tokens, {batch, length}, device, "generation");
  ForwardContext& context = chunk.context;
  context.batch = batch;
  context.length = length;
  context.positions = Tensor::from(positions, flat, device, "generation");
  context.valid = Tensor::from(valid, flat, device, "generation");
  context.cache = &cache;
  context.cache_rows = Tensor::from(cache_rows, flat, device, "generation");
  context.mask.query_start = Tensor::from(past, {batch}, device, "generation");
  context.mask.key_length = Tensor::from(key_length, {batch}, device, "generation");
  return chunk;
}

// Logits after the last token of each row, [B, V] on the host.
Tensor last_logits(Decoder& decoder, const Chunk& chunk, Device device) {
  const Tensor hidden = decoder.hidden(chunk.tokens, chunk.context).value();
  const auto batch = static_cast<std::int64_t>(chunk.last.size());
  const Tensor last = Tensor::empty({batch, hidden.size(1)}, DType::f32, device, "generation");
  kernels::gather_rows(
      {.y = last, .x = hidden, .rows = Tensor::from(chunk.last, {batch}, device, "generation")});
  const Tensor head = operand(decoder.head().value());
  const Tensor logits = Tensor::empty({batch, head.size(0)}, DType::f32, device, "generation");
  kernels::gemm({.c = logits, .a = operand(last), .b = head, .transpose_b = true});
  return logits.to(Device{});
}

KeyValueCache make_cache(const DecoderConfig& config, std::int64_t batch, std::int64_t capacity,
                         Device device) {
  KeyValueCache cache;
  cache.capacity = capacity;
  const Shape shape{batch, capacity, config.num_key_value_heads, config.head_size()};
  for (std::int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    cache.keys.push_back(Tensor::zeros(shape, DType::f32, device, "key-value cache"));
    cache.values.push_back(Tensor::zeros(shape, DType::f32, device, "key-value cache"));
  }
  return cache;
}

bool is_among(const std::vector<std::int32_t>& tokens, std::int32_t token) {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

std::int64_t longest_of(const Sequences& prompts) {
  std::size_t longest = 0;
  for (const auto& prompt : prompts) {
    if (prompt.empty()) user_error("a prompt must hold at least one token");
    longest = std::max(longest, prompt.size());
  }
  return static_cast<std::int64_t>(longest);
}

}  // namespace

Sequences generate(Decoder& decoder, const Sequences& prompts, const GenerationOptions& options,
                   Device device) {
  if (prompts.empty() || options.max_new_tokens <= 0) return Sequences(prompts.size());
  const NoGrad no_grad;
  const std::int64_t longest = longest_of(prompts);
  const std::int64_t capacity = longest + options.max_new_tokens;
  if (capacity - 1 > decoder.config().max_position_embeddings) {
    user_error("a prompt of {} tokens and {} new ones do not fit into the model's {} positions",
               longest, options.max_new_tokens, decoder.config().max_position_embeddings);
  }
  const auto batch = static_cast<std::int64_t>(prompts.size());
  // One new token needs no memory of the past.
  KeyValueCache cache;
  const bool cached = options.max_new_tokens > 1;
  if (cached) cache = make_cache(decoder.config(), batch, capacity, device);
  const TokenSampler sampler(options);
  Sequences fresh = prompts, out(prompts.size());
  std::vector<std::int32_t> past(prompts.size(), 0);
  std::vector<bool> ended(prompts.size(), false);
  const auto tokens = options.vocabulary > 0 ? static_cast<std::size_t>(options.vocabulary)
                                             : std::numeric_limits<std::size_t>::max();
  for (std::int64_t i = 0; i < options.max_new_tokens; ++i) {
    const Chunk chunk =
        cached ? make_cached_chunk(fresh, cache, past, device) : make_packed_chunk(fresh, device);
    const Tensor logits = last_logits(decoder, chunk, device);
    for (std::size_t b = 0; b < prompts.size(); ++b) {
      past[b] += static_cast<std::int32_t>(fresh[b].size());
      const auto row = static_cast<std::int64_t>(b);
      const auto choices = logits.slice(row, row + 1).span<float>();
      const std::int32_t token = sampler.choose(choices.first(std::min(choices.size(), tokens)),
                                                options.first_row + row, i);
      ended[b] = ended[b] || is_among(options.stop_tokens, token);
      if (!ended[b]) out[b].push_back(token);
      ended[b] = ended[b] || is_among(options.last_tokens, token);
      fresh[b] = {token};
    }
    if (std::all_of(ended.begin(), ended.end(), [](bool end) { return end; })) break;
  }
  return out;
}

}  // namespace slotwise
