// How large a model will be, from its config alone: asked before anything is allocated, because a
// system that lends more memory than it has ends the program later, without a word.
#pragma once

#include "memory/memory_model.h"
#include "train/optimizer_setup.h"

namespace slotwise {

// Elements of all matrices and tables; gains and biases, some thousandths, are not counted.
double weight_count(const ModelConfig& config);

// UserError when the weights and the state of their optimizer are more than this machine has.
void refuse_model_beyond_memory(const ModelConfig& config, const OptimizerSettings& optimizer,
                                Device device);

}  // namespace slotwise
