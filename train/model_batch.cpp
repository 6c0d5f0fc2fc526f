#include "train/model_batch.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "core/trace.h"

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

std::vector<TokenBatch> split_batch(const TokenBatch& batch, std::int64_t rows) {
  const std::int64_t all = batch.tokens.size(0), width = batch.tokens.size(1);
  if (rows <= 0 || rows >= all) return {batch};
  const auto targets = batch.targets.span<std::int32_t>();
  std::vector<TokenBatch> out;
  for (std::int64_t begin = 0; begin < all; begin += rows) {
    const std::int64_t end = std::min(all, begin + rows);
    std::int64_t longest = 1, valid = 0;
    for (std::int64_t i = begin * width; i < end * width; ++i) {
      if (targets[static_cast<std::size_t>(i)] < 0) continue;
      longest = std::max(longest, i % width + 1);
      ++valid;
    }
    TokenBatch piece{Tensor::empty({end - begin, longest}, DType::i32, {}, "tokens"),
                     Tensor::empty({end - begin, longest}, DType::i32, {}, "tokens"), valid};
    for (std::int64_t row = begin; row < end; ++row) {
      const auto copy = [&](const Tensor& to, const Tensor& from) {
        std::copy_n(from.data<std::int32_t>() + row * width, longest,
                    to.data<std::int32_t>() + (row - begin) * longest);
      };
      copy(piece.tokens, batch.tokens);
      copy(piece.targets, batch.targets);
    }
    out.push_back(std::move(piece));
  }
  return out;
}

Variable batch_loss(MemoryModel& model, const ModelBatch& batch, double divisor) {
  const Variable hidden = model.decoder().hidden(batch.tokens, batch.context);
  return language_model_loss(hidden, model.decoder().head(), batch.targets, divisor);
}

Tensor queue_gradients(MemoryModel& model, const TokenBatch& batch,
                       const AccumulateOptions& options) {
  const std::vector<TokenBatch> pieces = split_batch(batch, options.micro_batch);
  const auto count = static_cast<std::int64_t>(pieces.size());
  const Tensor losses = Tensor::empty({count}, DType::f32, model.device(), "losses");
  for (std::int64_t i = 0; i < count; ++i) {
    ModelBatch ready = make_model_batch(pieces[static_cast<std::size_t>(i)], model.device());
    ready.context.training = options.batch_statistics;
    Variable loss;
    {
      const TraceRange range("forward");
      loss = batch_loss(model, ready,
                        static_cast<double>(std::max<std::int64_t>(batch.valid_tokens, 1)));
    }
    losses.slice(i, i + 1).copy_from(loss.value());
    const TraceRange range("backward");
    backward(loss);
  }
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
