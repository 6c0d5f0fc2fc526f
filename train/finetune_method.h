// How a finetuning method changes a model: the one thing in which methods differ. A method prepares
// the model (what is trainable, what watches), takes steps, and knows its own state for a
// checkpoint.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "data/batch.h"
#include "memory/memory_model.h"
#include "memory/slot_selector.h"
#include "optim/row_optimizer.h"
#include "train/optimizer_setup.h"
#include "train/sharding.h"

namespace slotwise {

struct MethodStep {
  double loss = 0;
  double gradient_norm = 0;                           // not finite: nothing was changed
  std::int64_t trainable = 0;                         // parameters that this step could change
  std::int64_t accessed_rows = 0, selected_rows = 0;  // memory methods
};

class FinetuneMethod {
 public:
  virtual ~FinetuneMethod() = default;
  virtual MethodStep step(const TokenBatch& batch, std::int64_t step, double learning_rate) = 0;
  virtual std::vector<NamedTensor> optimizer_state() const = 0;
  virtual void load_optimizer_state(const TensorFile& file, std::int64_t steps) = 0;
  virtual std::vector<NamedTensor> adapters() const { return {}; }
  virtual void finish() {}  // merge what hangs beside the weights
  virtual std::int64_t rows_touched() const { return 0; }
  // Groups of sequences that steps and evaluations will see again and again, the most frequent
  // first.
  virtual void expect(const std::vector<TokenRows>&) {}
};

struct DenseMethodSettings {
  OptimizerSettings optimizer;
  std::int64_t micro_batch = 0;
  Sharding sharding = {};
};
std::unique_ptr<FinetuneMethod> full_finetuning(MemoryModel& model,
                                                const DenseMethodSettings& settings);

struct LoraSettings {
  DenseMethodSettings dense;
  std::int64_t rank = 8;
  double alpha = 16.0;
  bool attention_only = false;
  std::uint64_t seed = 0;
};
std::unique_ptr<FinetuneMethod> lora(MemoryModel& model, const LoraSettings& settings);

struct SparseSettings {
  std::shared_ptr<SlotSelector> selector;
  std::function<std::unique_ptr<RowOptimizer>()> make_row_optimizer;
  std::int64_t rows = 0;
  std::int64_t micro_batch = 0;
  double clip = 0.0;  // of the rows' gradient; 0: none
  std::int64_t prefix_cache_bytes = 0;
  Sharding sharding = {};
};
std::unique_ptr<FinetuneMethod> sparse_memory_finetuning(MemoryModel& model,
                                                         const SparseSettings& settings);

}  // namespace slotwise
