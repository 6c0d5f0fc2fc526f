// A batch of tokens made ready for the model: on its device, its rows packed one after another
// without their padding, and the loss targets picked out on the host.
#pragma once

#include <vector>

#include "data/batch.h"
#include "layers/functional/language_model_loss.h"
#include "memory/memory_model.h"
#include "train/sharding.h"

namespace slotwise {

struct ModelBatch {
  Tensor tokens;  // [1, M] i32
  LossTargets targets;
  // `valid`: tokens up to the last one of their row that carries loss; those alone count as
  // accesses.
  ForwardContext context;
};

// Tokens that the model reads of a batch: all up to the last one of each row that carries loss.
std::int64_t read_tokens(const TokenBatch& batch);

ModelBatch make_model_batch(const TokenBatch& batch, Device device);

// Rows [begin, end) of a batch, padding cut to their longest.
TokenBatch batch_rows(const TokenBatch& batch, std::int64_t begin, std::int64_t end);

// Rows [begin, begin + rows) of a batch each, padding cut to the longest row of the piece:
// micro-batches.
std::vector<TokenBatch> split_batch(const TokenBatch& batch, std::int64_t rows);

// Sum of the losses over `divisor`.
Variable batch_loss(MemoryModel& model, const ModelBatch& batch, double divisor);

// Called around this rank's part of a round (train/sharding.h), where there are several shards.
struct RoundHooks {
  std::function<void()> begin, end;
  LeafFunction gradient_ready;  // core/variable.h; in the round's last backward
};

// One optimizer batch: forward and backward of every micro-batch, the divisor being all its valid
// tokens. Returns the mean loss. micro_batch: rows at a time, 0: all.
struct AccumulateOptions {
  std::int64_t micro_batch = 0;
  bool batch_statistics = false;  // query BatchNorm uses and moves its statistics (pretraining)
  Sharding sharding = {};
  RoundHooks hooks = {};
};
double accumulate_gradients(MemoryModel& model, const TokenBatch& batch,
                            const AccumulateOptions& options);
// The same without waiting for the device: the share of each micro-batch in the loss [pieces], of
// all shards in their order.
Tensor queue_gradients(MemoryModel& model, const TokenBatch& batch,
                       const AccumulateOptions& options);

// What a step tells the log, read from the device in one copy: the only wait of a step.
struct StepFigures {
  double loss = 0.0;
  double gradient_norm = 0.0;  // before clipping
  // losses: shares that add up to the loss; squares: of the norms of parts of the gradient.
  StepFigures(const Tensor& losses, const Tensor& squares);
};

}  // namespace slotwise
