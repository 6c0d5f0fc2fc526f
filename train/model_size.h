// How large a model will be, from its config alone: asked before anything is allocated, because a
// system that lends more memory than it has ends the program later, without a word.
#pragma once

#include "memory/memory_model.h"
#include "train/optimizer_setup.h"

namespace slotwise {

// Elements of all matrices and tables; gains and biases, some thousandths, are not counted.
double weight_count(const ModelConfig& config);

// What a rank holds in a step whatever the batch: weights, their gradients (where it takes several
// shards also the sum of those before) and the state of the optimizer. Activations and what is on
// its way to other ranks come on top.
double training_bytes(const ModelConfig& config, const OptimizerSettings& optimizer,
                      std::int64_t rounds);

// The ranks that share the memory of a device: those of this host on its CPU, one on a GPU.
struct MemorySharing {
  std::int64_t rounds = 1;  // shards that a rank takes of a batch
  int ranks = 1;
};
// UserError when all that together is more than the device has.
void refuse_model_beyond_memory(const ModelConfig& config, const OptimizerSettings& optimizer,
                                Device device, const MemorySharing& sharing);

}  // namespace slotwise
