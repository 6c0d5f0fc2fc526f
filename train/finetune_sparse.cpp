// Sparse memory finetuning (SMF section 3): count, select, reduce, update.
#include <algorithm>
#include <cmath>

#include "kernels/adamw.h"
#include "kernels/slot_statistics.h"
#include "memory/prefix_cache.h"
#include "memory/sparse_step.h"
#include "train/finetune_method.h"
#include "train/model_batch.h"

namespace slotwise {
namespace {

std::string prefix(std::size_t table) {
  return fmt::format("rows.{}", table);
}

std::vector<std::int32_t> marked(const Tensor& marks) {
  const std::vector<std::uint8_t> host = marks.to_vector<std::uint8_t>();
  std::vector<std::int32_t> rows;
  for (std::size_t row = 0; row < host.size(); ++row) {
    if (host[row] != 0) rows.push_back(static_cast<std::int32_t>(row));
  }
  return rows;
}

class SparseMethod final : public FinetuneMethod {
 public:
  SparseMethod(MemoryModel& model, const SparseSettings& settings)
      : model_(model),
        settings_(settings),
        sparse_(model, settings.selector, settings.rows, settings.sharding.group) {
    model.parameters().freeze_all();
    for (std::size_t t = 0; t < model.tables().size(); ++t) {
      optimizers_.push_back(settings.make_row_optimizer());
      touched_.push_back(Tensor::zeros({model.config().memory.slots()}, DType::u8, model.device(),
                                       "changed rows"));
    }
  }

  MethodStep step(const TokenBatch& batch, std::int64_t step, double learning_rate) override {
    const Tensor losses = queue_gradients(model_, batch,
                                          {.micro_batch = settings_.micro_batch,
                                           .sharding = settings_.sharding,
                                           .hooks = {.begin = [this] { sparse_.begin_round(); }}});
    const std::vector<RowGradient> updates = sparse_.finish(step);
    const Tensor squares = update(updates, learning_rate);
    const StepFigures figures(losses, squares);
    const auto accessed = sparse_.accessed().to_vector<std::int32_t>();
    MethodStep out{.loss = figures.loss, .gradient_norm = figures.gradient_norm};
    for (std::size_t t = 0; t < updates.size(); ++t) {
      const std::int64_t selected = std::min<std::int64_t>(updates[t].rows.size(0), accessed[t]);
      out.accessed_rows += accessed[t];
      out.selected_rows += selected;
      out.trainable += selected * updates[t].gradient.size(1);
      if (!std::isfinite(out.gradient_norm)) continue;
      kernels::mark_slots({.marks = touched_[t], .slots = updates[t].rows});
      settings_.selector->written(static_cast<int>(t), updates[t].rows);
    }
    return out;
  }

  std::vector<NamedTensor> optimizer_state() const override {
    std::vector<NamedTensor> out;
    for (std::size_t t = 0; t < optimizers_.size(); ++t) {
      for (NamedTensor& entry : optimizers_[t]->state(prefix(t))) out.push_back(std::move(entry));
      const std::vector<std::int32_t> rows = marked(touched_[t]);
      out.push_back(
          {prefix(t) + ".touched", Tensor::from(rows, {static_cast<std::int64_t>(rows.size())})});
    }
    for (NamedTensor& entry : settings_.selector->state()) out.push_back(std::move(entry));
    return out;
  }

  void load_optimizer_state(const TensorFile& file, std::int64_t) override {
    for (std::size_t t = 0; t < optimizers_.size(); ++t) {
      optimizers_[t]->load_state(file, prefix(t));
      touched_[t].zero();
      kernels::mark_slots({.marks = touched_[t],
                           .slots = file.require(prefix(t) + ".touched").to(model_.device())});
    }
    settings_.selector->load_state(file);
  }

  void expect(const std::vector<TokenRows>& groups) override {
    if (settings_.prefix_cache_bytes == 0) return;
    prefix_.reset();
    prefix_ = std::make_unique<PrefixCache>(model_, groups, settings_.prefix_cache_bytes);
  }

  std::int64_t rows_touched() const override {
    std::int64_t total = 0;
    for (const Tensor& marks : touched_) {
      total += static_cast<std::int64_t>(marked(marks).size());
    }
    return total;
  }

 private:
  // The step itself; returns the squares of the gradients' norms [tables]. A gradient that is not
  // finite in one table stops the step in all.
  Tensor update(const std::vector<RowGradient>& updates, double learning_rate) {
    const auto tables = static_cast<std::int64_t>(updates.size());
    kernels::SquaredNorms norms{
        .sums = Tensor::empty({tables}, DType::f32, model_.device(), "norm"), .parts = {}};
    for (std::size_t t = 0; t < updates.size(); ++t) {
      norms.parts.push_back({updates[t].gradient, {}, static_cast<int>(t)});
    }
    kernels::squared_norms(norms);
    const Tensor scale = Tensor::empty_like(norms.sums, "norm");
    kernels::clip_scale({.scale = scale,
                         .sum_of_squares = norms.sums,
                         .max_norm = static_cast<float>(settings_.clip)});
    for (std::int64_t t = 0; t < tables; ++t) {
      const auto at = static_cast<std::size_t>(t);
      optimizers_[at]->step_scaled(model_.tables()[at].values.value(), updates[at], learning_rate,
                                   scale.slice(t, t + 1));
    }
    return norms.sums;
  }

  MemoryModel& model_;
  SparseSettings settings_;
  SparseStep sparse_;
  std::unique_ptr<PrefixCache> prefix_;
  std::vector<std::unique_ptr<RowOptimizer>> optimizers_;
  std::vector<Tensor> touched_;  // [N] u8 per table: rows that a step has changed
};

}  // namespace

std::unique_ptr<FinetuneMethod> sparse_memory_finetuning(MemoryModel& model,
                                                         const SparseSettings& settings) {
  return std::make_unique<SparseMethod>(model, settings);
}

}  // namespace slotwise
