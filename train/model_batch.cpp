#include "train/model_batch.h"

#include <algorithm>

#include "core/trace.h"

namespace slotwise {

ModelBatch make_model_batch(const TokenBatch& batch, Device device) {
  std::vector<std::uint8_t> valid;
  for (const std::int32_t target : batch.targets.span<std::int32_t>()) {
    valid.push_back(target >= 0 ? 1 : 0);
  }
  const auto count = static_cast<std::int64_t>(valid.size());
  ModelBatch out;
  out.tokens = batch.tokens.to(device, "tokens");
  out.targets = LossTargets::from(batch.targets, device);
  out.context = make_context(batch.tokens, Tensor::from(valid, {count}, device, "tokens"), device);
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
