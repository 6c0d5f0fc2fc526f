// How much a training step has to compute: a matrix of w weights costs 2 w FLOPs a token forward,
// as much again for the gradient of its input, and as much for its own.
#pragma once

#include <string>
#include <vector>

#include "data/batch.h"
#include "memory/memory_model.h"

namespace slotwise::bench {

struct StepWork {
  double tokens = 0;  // that carry a loss, of one step: all there are in the drawn shapes
  double flops = 0;   // of one step
};

// Means over `batches`. pretrain, full: three times the forward. lora: its weights are frozen, so
// twice (adapters are not counted). smf_*: the forward, and the gradients of inputs above the
// lowest memory. Matrix products, attention and the reads of the table count, norms and the like do
// not; attention as if all rows were as long as the longest.
StepWork step_work(const MemoryModel& model, const std::string& mode,
                   const std::vector<TokenBatch>& batches);

}  // namespace slotwise::bench
