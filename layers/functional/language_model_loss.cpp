#include "layers/functional/language_model_loss.h"

#include <algorithm>

#include "kernels/cross_entropy.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "layers/functional/precision.h"

namespace slotwise {
namespace {

// Rows a chunk: on a CPU about 16 MiB of logits, so that they stay near the cores; on a GPU 256
// MiB, as every chunk reads and writes the gradient of the whole head.
std::int64_t chunk_rows(std::int64_t vocabulary, Device device) {
  const std::int64_t elements = device.is_cuda() ? 64 << 20 : 4 << 20;
  return std::max<std::int64_t>(16, elements / std::max<std::int64_t>(vocabulary, 1));
}

struct Gradients {
  Tensor hidden;  // [n, C], of the gathered rows
  Tensor head;    // [V, C]
};

// One pass over the chunks. `gradients` tensors that are defined are filled.
Tensor run_chunks(const Tensor& all_rows, const Tensor& weights, const Tensor& targets, float scale,
                  const Gradients& gradients) {
  const Tensor rows = operand(all_rows), head = operand(weights);
  const std::int64_t count = rows.size(0), vocabulary = head.size(0);
  const std::int64_t chunk = chunk_rows(vocabulary, rows.device());
  const bool backward = gradients.hidden.defined() || gradients.head.defined();
  Tensor losses = Tensor::empty({count}, DType::f32, rows.device(), "losses");
  Tensor logits = Tensor::empty({std::min(chunk, count), vocabulary}, DType::f32, rows.device(),
                                "logits chunk");
  for (std::int64_t begin = 0; begin < count; begin += chunk) {
    const std::int64_t end = std::min(count, begin + chunk);
    const Tensor part = logits.slice(0, end - begin);
    const Tensor x = rows.slice(begin, end);
    kernels::gemm({.c = part, .a = x, .b = head, .transpose_b = true});
    kernels::cross_entropy({.losses = losses.slice(begin, end),
                            .dlogits = backward ? part : Tensor{},
                            .logits = part,
                            .targets = targets.slice(begin, end),
                            .scale = scale});
    if (!backward) continue;
    const Tensor dlogits = operand(part);
    if (gradients.hidden.defined()) {
      kernels::gemm({.c = gradients.hidden.slice(begin, end), .a = dlogits, .b = head});
    }
    if (gradients.head.defined()) {
      kernels::gemm({.c = gradients.head,
                     .a = dlogits,
                     .b = x,
                     .transpose_a = true,
                     .beta = begin == 0 ? 0.0f : 1.0f});
    }
  }
  if (count == 0 && gradients.head.defined()) gradients.head.zero();
  return losses;
}

Tensor gather(const Tensor& hidden, const Tensor& rows) {
  Tensor out =
      Tensor::empty({rows.size(0), hidden.size(1)}, DType::f32, hidden.device(), "activation loss");
  kernels::gather_rows({.y = out, .x = hidden, .rows = rows});
  return out;
}

Tensor sum_of(const Tensor& losses, float factor) {
  const Tensor ones =
      Tensor::from(std::vector<float>(static_cast<std::size_t>(losses.size(0)), 1.0f),
                   losses.shape(), losses.device(), "losses");
  Tensor sum = Tensor::empty({1}, DType::f32, losses.device(), "losses");
  kernels::dot_product({.out = {sum}, .a = losses, .b = ones});
  kernels::scale({.out = {sum}, .x = sum, .factor = factor});
  return sum;
}

}  // namespace

LossTargets LossTargets::from(const Tensor& targets, Device device) {
  std::vector<std::int32_t> rows, kept;
  const auto all = targets.span<std::int32_t>();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i] < 0) continue;
    rows.push_back(static_cast<std::int32_t>(i));
    kept.push_back(all[i]);
  }
  const auto count = static_cast<std::int64_t>(rows.size());
  return {Tensor::from(rows, {count}, device, "targets"),
          Tensor::from(kept, {count}, device, "targets")};
}

Variable language_model_loss(const Variable& hidden, const Variable& head,
                             const LossTargets& targets, double divisor) {
  SLOTWISE_CHECK(divisor > 0, "[language_model_loss] expected a divisor > 0, got {}", divisor);
  const Tensor all = hidden.value();
  const Tensor rows = gather(all, targets.rows);
  const auto scale = static_cast<float>(1.0 / divisor);
  Gradients gradients;
  if (recording() && hidden.requires_grad()) {
    gradients.hidden = Tensor::empty_like(rows, "activation gradient");
  }
  if (recording() && head.requires_grad()) {
    gradients.head = Tensor::empty_like(head.value(), "head gradient");
  }
  const Tensor losses = run_chunks(rows, head.value(), targets.targets, scale, gradients);
  return record(
      "language_model_loss", {hidden, head}, sum_of(losses, scale),
      [=, index = targets.rows](BackwardContext& context) {
        const Tensor seed = context.output_grad();
        if (const Sink sink = context.input_sink(0)) {
          kernels::scale({.out = {gradients.hidden}, .x = gradients.hidden, .scale = seed});
          if (!sink.accumulate) sink.tensor.zero();
          kernels::scatter_rows({.x = sink.tensor,
                                 .y = gradients.hidden,
                                 .rows = index,
                                 .accumulate = sink.accumulate});
        }
        if (const Sink sink = context.input_sink(1)) {
          kernels::scale({.out = sink, .x = gradients.head, .scale = seed});
        }
      });
}

Tensor token_losses(const Tensor& hidden, const Tensor& head, const LossTargets& targets) {
  return run_chunks(gather(hidden, targets.rows), head, targets.targets, 1.0f, {});
}

}  // namespace slotwise
