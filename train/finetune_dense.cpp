// Full finetuning and LoRA: ordinary gradients, AdamW.
#include "layers/low_rank.h"
#include "train/finetune_method.h"
#include "train/gradient_exchange.h"
#include "train/model_batch.h"

namespace slotwise {
namespace {

class DenseMethod : public FinetuneMethod {
 public:
  DenseMethod(MemoryModel& model, const ParameterRegistry& trained,
              const DenseMethodSettings& settings)
      : model_(model),
        settings_(settings),
        trainable_(trained.count()),
        optimizer_(make_optimizer(trained.all(), settings.optimizer)),
        exchange_(trained.all(), settings.sharding.group) {}

  MethodStep step(const TokenBatch& batch, std::int64_t, double learning_rate) override {
    optimizer_->clear_gradients();
    const Tensor losses = queue_gradients(model_, batch,
                                          {.micro_batch = settings_.micro_batch,
                                           .sharding = settings_.sharding,
                                           .hooks = exchange_.hooks()});
    const StepFigures figures(losses, optimizer_->queue_step(learning_rate));
    return {.loss = figures.loss, .gradient_norm = figures.gradient_norm, .trainable = trainable_};
  }

  std::vector<NamedTensor> optimizer_state() const override { return optimizer_->state(); }
  void load_optimizer_state(const TensorFile& file, std::int64_t steps) override {
    optimizer_->load_state(file);
    optimizer_->set_steps(steps);
  }

 private:
  MemoryModel& model_;
  DenseMethodSettings settings_;
  std::int64_t trainable_;
  std::unique_ptr<Optimizer> optimizer_;
  GradientExchange exchange_;
};

class LoraMethod final : public DenseMethod {
 public:
  LoraMethod(MemoryModel& model, std::unique_ptr<LowRankAdapters> adapters,
             const DenseMethodSettings& settings)
      : DenseMethod(model, adapters->parameters(), settings), adapters_(std::move(adapters)) {}

  std::vector<NamedTensor> adapters() const override {
    std::vector<NamedTensor> out;
    for (const Parameter& parameter : adapters_->parameters().all()) {
      out.push_back({parameter.name, parameter.variable.value()});
    }
    return out;
  }
  void finish() override { adapters_->merge(); }

 private:
  std::unique_ptr<LowRankAdapters> adapters_;
};

}  // namespace

std::unique_ptr<FinetuneMethod> full_finetuning(MemoryModel& model,
                                                const DenseMethodSettings& settings) {
  return std::make_unique<DenseMethod>(model, model.parameters(), settings);
}

std::unique_ptr<FinetuneMethod> lora(MemoryModel& model, const LoraSettings& settings) {
  model.parameters().freeze_all();
  const std::vector<Linear> linears =
      settings.attention_only ? model.decoder().attention_linears() : model.decoder().linears();
  auto adapters = std::make_unique<LowRankAdapters>(
      linears, LowRankConfig{settings.rank, settings.alpha}, settings.seed, model.device());
  return std::make_unique<LoraMethod>(model, std::move(adapters), settings.dense);
}

}  // namespace slotwise
