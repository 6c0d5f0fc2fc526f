#include "train/model_batch.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>

#include "core/trace.h"
#include "train/shard_statistics.h"

namespace slotwise {
namespace {

// Up to the last token that carries loss: nothing that counts reads what stands behind it.
std::size_t used_length(std::span<const std::int32_t> targets) {
  std::size_t length = targets.size();
  while (length > 1 && targets[length - 1] < 0) --length;
  return length;
}

}  // namespace

std::int64_t read_tokens(const TokenBatch& batch) {
  const auto width = static_cast<std::size_t>(batch.tokens.size(1));
  const auto targets = batch.targets.span<std::int32_t>();
  std::size_t tokens = 0;
  for (std::size_t first = 0; first < targets.size(); first += width) {
    tokens += used_length(targets.subspan(first, width));
  }
  return static_cast<std::int64_t>(tokens);
}

ModelBatch make_model_batch(const TokenBatch& batch, Device device) {
  const auto width = static_cast<std::size_t>(batch.tokens.size(1));
  const auto all_tokens = batch.tokens.span<std::int32_t>();
  const auto all_targets = batch.targets.span<std::int32_t>();
  TokenRows rows;
  std::vector<std::int32_t> targets;
  std::vector<std::uint8_t> valid;
  for (std::size_t first = 0; first < all_tokens.size(); first += width) {
    const auto row =
        all_targets.subspan(first, width).first(used_length(all_targets.subspan(first, width)));
    const auto tokens = all_tokens.subspan(first, row.size());
    rows.emplace_back(tokens.begin(), tokens.end());
    targets.insert(targets.end(), row.begin(), row.end());
    // What leads to an answer is read for its sake, even where it carries no loss itself.
    valid.insert(valid.end(), row.size(), row.back() >= 0 ? 1 : 0);
  }
  const PackedRows packed = pack_rows(std::move(rows), device);
  ModelBatch out;
  out.tokens = packed.tokens;
  out.targets = LossTargets::from(Tensor::from(targets, packed.tokens.shape()), device);
  out.context = packed.context;
  out.context.valid = Tensor::from(valid, {out.tokens.elements()}, device, "tokens");
  return out;
}

TokenBatch batch_rows(const TokenBatch& batch, std::int64_t begin, std::int64_t end) {
  const std::int64_t width = batch.tokens.size(1);
  const auto targets = batch.targets.span<std::int32_t>();
  std::int64_t longest = 1, valid = 0;
  for (std::int64_t i = begin * width; i < end * width; ++i) {
    if (targets[static_cast<std::size_t>(i)] < 0) continue;
    longest = std::max(longest, i % width + 1);
    ++valid;
  }
  const TokenBatch piece{Tensor::empty({end - begin, longest}, DType::i32, {}, "tokens"),
                         Tensor::empty({end - begin, longest}, DType::i32, {}, "tokens"), valid};
  for (std::int64_t row = begin; row < end; ++row) {
    const auto copy = [&](const Tensor& to, const Tensor& from) {
      std::copy_n(from.data<std::int32_t>() + row * width, longest,
                  to.data<std::int32_t>() + (row - begin) * longest);
    };
    copy(piece.tokens, batch.tokens);
    copy(piece.targets, batch.targets);
  }
  return piece;
}

std::vector<TokenBatch> split_batch(const TokenBatch& batch, std::int64_t rows) {
  const std::int64_t all = batch.tokens.size(0);
  if (rows <= 0 || rows >= all) return {batch};
  std::vector<TokenBatch> out;
  for (std::int64_t begin = 0; begin < all; begin += rows) {
    out.push_back(batch_rows(batch, begin, std::min(all, begin + rows)));
  }
  return out;
}

Variable batch_loss(MemoryModel& model, const ModelBatch& batch, double divisor) {
  const Variable hidden = model.decoder().hidden(batch.tokens, batch.context);
  return language_model_loss(hidden, model.decoder().head(), batch.targets, divisor);
}

namespace {

// Forward and backward of the pieces of one shard; losses: [pieces].
void run_pieces(MemoryModel& model, const std::vector<TokenBatch>& pieces, double divisor,
                const Tensor& losses, const AccumulateOptions& options) {
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    ModelBatch ready = make_model_batch(pieces[i], model.device());
    ready.context.training = options.batch_statistics;
    Variable loss;
    {
      const TraceRange range("forward");
      loss = batch_loss(model, ready, divisor);
    }
    const auto at = static_cast<std::int64_t>(i);
    losses.slice(at, at + 1).copy_from(loss.value());
    const TraceRange range("backward");
    const bool sends = options.sharding.shards > 1 && i + 1 == pieces.size();
    backward(loss, {}, sends ? options.hooks.gradient_ready : LeafFunction());
  }
}

}  // namespace

Tensor queue_gradients(MemoryModel& model, const TokenBatch& batch,
                       const AccumulateOptions& options) {
  const Sharding& sharding = options.sharding;
  const auto divisor = static_cast<double>(std::max<std::int64_t>(batch.valid_tokens, 1));
  std::vector<std::vector<TokenBatch>> shards;
  std::vector<std::int64_t> first{0};  // piece of each shard
  for (const TokenBatch& shard : shard_batch(batch, sharding.shards)) {
    shards.push_back(split_batch(shard, options.micro_batch));
    first.push_back(first.back() + static_cast<std::int64_t>(shards.back().size()));
  }
  const Tensor losses = Tensor::zeros({first.back()}, DType::f32, model.device(), "losses");
  std::optional<ShardStatistics> statistics;
  if (sharding.shards > 1 && options.batch_statistics) statistics.emplace(model, sharding);
  for (std::int64_t round = 0; round < sharding.rounds(); ++round) {
    const auto shard = static_cast<std::size_t>(sharding.shard_of_round(round));
    if (sharding.shards > 1 && options.hooks.begin) options.hooks.begin();
    if (statistics) statistics->begin_round();
    run_pieces(model, shards[shard], divisor, losses.slice(first[shard], first[shard + 1]),
               options);
    if (sharding.shards > 1 && options.hooks.end) options.hooks.end();
    if (statistics) statistics->end_round();
  }
  if (statistics) statistics->finish();
  // The others' places hold 0: nothing is rounded.
  sharding.group->all_reduce_sum(losses);
  return losses;
}

double accumulate_gradients(MemoryModel& model, const TokenBatch& batch,
                            const AccumulateOptions& options) {
  double total = 0.0;
  for (const float loss : queue_gradients(model, batch, options).to_vector<float>()) total += loss;
  return total;
}

StepFigures::StepFigures(const Tensor& losses, const Tensor& squares) {
  const std::int64_t count = losses.elements(), all = count + squares.elements();
  const Tensor together = Tensor::empty({all}, DType::f32, losses.device(), "step figures");
  together.slice(0, count).copy_from(losses);
  together.slice(count, all).copy_from(squares);
  const std::vector<float> values = together.to_vector<float>();
  const auto middle = values.begin() + count;
  loss = std::accumulate(values.begin(), middle, 0.0);
  gradient_norm = std::sqrt(std::accumulate(middle, values.end(), 0.0));
}

}  // namespace slotwise
