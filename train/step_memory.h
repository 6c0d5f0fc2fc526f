// What one training step holds at its peak, beside what it could not do without: the parameters,
// the optimizer's state with the gradients it reads, and the activations that backward needs above
// the lowest trainable parameter.
#pragma once

#include "core/memory_pool.h"
#include "memory/memory_model.h"

namespace slotwise {

struct StepMinimum {
  std::int64_t parameters = 0, state = 0, activations = 0;  // bytes
  std::int64_t all() const { return parameters + state + activations; }
};

// Which activations a backward needs.
enum class NeededActivations {
  all,
  checkpoints,   // the residual stream of every block, and all of one block
  above_memory,  // of the lowest memory's read and the blocks above it (sparse memory finetuning)
};

// tokens: of one forward (a micro-batch). state: optimizer state and trainable parameters'
// gradients. adapters: parameters beside the model's own. All in bytes.
StepMinimum step_minimum(const MemoryModel& model, std::int64_t tokens, std::int64_t state,
                         std::int64_t adapters, NeededActivations needed);

// The table of allocations, then peak and minimum with their ratio.
std::string step_memory_text(const PoolReport& report, const StepMinimum& minimum);

}  // namespace slotwise
