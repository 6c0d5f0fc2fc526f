// Sparse memory finetuning (SMF section 3): count, select, reduce, update.
#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "kernels/elementwise.h"
#include "memory/prefix_cache.h"
#include "memory/sparse_step.h"
#include "train/finetune_method.h"
#include "train/model_batch.h"

namespace slotwise {
namespace {

std::string prefix(std::size_t table) {
  return fmt::format("rows.{}", table);
}

double squared_norm(const Tensor& x) {
  const Tensor sum = Tensor::empty({1}, DType::f32, x.device(), "norm");
  kernels::dot_product({.out = {sum}, .a = x, .b = x});
  return sum.to_vector<float>()[0];
}

class SparseMethod final : public FinetuneMethod {
 public:
  SparseMethod(MemoryModel& model, const SparseSettings& settings)
      : model_(model),
        settings_(settings),
        sparse_(model, settings.selector, settings.rows),
        touched_(model.tables().size()) {
    model.parameters().freeze_all();
    for (std::size_t t = 0; t < model.tables().size(); ++t) {
      optimizers_.push_back(settings.make_row_optimizer());
    }
  }

  MethodStep step(const TokenBatch& batch, std::int64_t step, double learning_rate) override {
    MethodStep out;
    out.loss = accumulate_gradients(model_, batch, {.micro_batch = settings_.micro_batch});
    const std::vector<RowGradient> updates = sparse_.finish(step);
    double squares = 0.0;
    for (std::size_t t = 0; t < updates.size(); ++t) {
      squares += squared_norm(updates[t].gradient);
      const Tensor& values = model_.tables()[t].values.value();
      optimizers_[t]->step(values, updates[t], learning_rate, settings_.clip);
      for (const std::int32_t row : updates[t].rows.to_vector<std::int32_t>()) {
        touched_[t].insert(row);
      }
      out.accessed_rows += sparse_.accessed(static_cast<int>(t));
      out.selected_rows += updates[t].rows.size(0);
      out.trainable += updates[t].rows.size(0) * values.size(1);
    }
    out.gradient_norm = std::sqrt(squares);
    return out;
  }

  std::vector<NamedTensor> optimizer_state() const override {
    std::vector<NamedTensor> out;
    for (std::size_t t = 0; t < optimizers_.size(); ++t) {
      for (NamedTensor& entry : optimizers_[t]->state(prefix(t))) out.push_back(std::move(entry));
      std::vector<std::int32_t> rows(touched_[t].begin(), touched_[t].end());
      std::sort(rows.begin(), rows.end());  // the file does not depend on how often a run resumed
      out.push_back(
          {prefix(t) + ".touched", Tensor::from(rows, {static_cast<std::int64_t>(rows.size())})});
    }
    for (NamedTensor& entry : settings_.selector->state()) out.push_back(std::move(entry));
    return out;
  }

  void load_optimizer_state(const TensorFile& file, std::int64_t) override {
    for (std::size_t t = 0; t < optimizers_.size(); ++t) {
      optimizers_[t]->load_state(file, prefix(t));
      const auto rows = file.require(prefix(t) + ".touched").to_vector<std::int32_t>();
      touched_[t] = {rows.begin(), rows.end()};
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
    for (const auto& rows : touched_) total += static_cast<std::int64_t>(rows.size());
    return total;
  }

 private:
  MemoryModel& model_;
  SparseSettings settings_;
  SparseStep sparse_;
  std::unique_ptr<PrefixCache> prefix_;
  std::vector<std::unique_ptr<RowOptimizer>> optimizers_;
  std::vector<std::unordered_set<std::int32_t>> touched_;
};

}  // namespace

std::unique_ptr<FinetuneMethod> sparse_memory_finetuning(MemoryModel& model,
                                                         const SparseSettings& settings) {
  return std::make_unique<SparseMethod>(model, settings);
}

}  // namespace slotwise
