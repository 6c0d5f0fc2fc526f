#include "train/model_batch.h"

#include <algorithm>
#include <span>

#include "core/trace.h"

namespace slotwise {
namespace {

// Up to the last token that carries loss: nothing that counts reads what stands behind it.
std::int64_t used_length(std::span<const std::int32_t> targets) {
  std::size_t length = targets.size();
  while (length > 1 && targets[length - 1] < 0) --length;
  return static_cast<std::int64_t>(length);
}

}  // namespace

ModelBatch make_model_batch(const TokenBatch& batch, Device device) {
  const auto width = static_cast<std::size_t>(batch.tokens.size(1));
  const auto all_tokens = batch.tokens.span<std::int32_t>();
  const auto all_targets = batch.targets.span<std::int32_t>();
  std::vector<std::int64_t> lengths;
  std::vector<std::int32_t> tokens, targets;
  std::vector<std::uint8_t> valid;
  for (std::size_t first = 0; first < all_tokens.size(); first += width) {
    const auto row = all_targets.subspan(first, width);
    lengths.push_back(used_length(row));
    for (std::size_t t = 0; t < static_cast<std::size_t>(lengths.back()); ++t) {
      tokens.push_back(all_tokens[first + t]);
      targets.push_back(row[t]);
      valid.push_back(row[t] >= 0 ? 1 : 0);
    }
  }
  const Shape packed{1, static_cast<std::int64_t>(tokens.size())};
  ModelBatch out;
  out.tokens = Tensor::from(tokens, packed, device, "tokens");
  out.targets = LossTargets::from(Tensor::from(targets, packed), device);
  out.context = packed_context(lengths, Tensor::from(valid, {packed[1]}, device, "tokens"), device);
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

double accumulate_gradients(MemoryModel& model, const TokenBatch& batch,
                            const AccumulateOptions& options) {
  double total = 0.0;
  for (const TokenBatch& piece : split_batch(batch, options.micro_batch)) {
    ModelBatch ready = make_model_batch(piece, model.device());
    ready.context.training = options.batch_statistics;
    Variable loss;
    {
      const TraceRange range("forward");
      loss = batch_loss(model, ready,
                        static_cast<double>(std::max<std::int64_t>(batch.valid_tokens, 1)));
    }
    total += loss.value().to_vector<float>()[0];
    const TraceRange range("backward");
    backward(loss);
  }
  return total;
}

}  // namespace slotwise
