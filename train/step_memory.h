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

// tokens: of one forward (a micro-batch). state: bytes of optimizer state and of the gradients it
// reads. above_memory: only blocks above the lowest memory layer, and its read, keep activations
// (sparse memory finetuning).
StepMinimum step_minimum(const MemoryModel& model, std::int64_t tokens, std::int64_t state,
                         bool above_memory);

// The table of allocations, then peak and minimum with their ratio.
std::string step_memory_text(const PoolReport& report, const StepMinimum& minimum);

}  // namespace slotwise
