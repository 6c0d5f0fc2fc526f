// Logits of a model for given tokens, as a file: what another implementation of the checkpoint
// contract is compared with.
#pragma once

#include <filesystem>

#include "train/checkpoint.h"

namespace slotwise {

// `tokens`: a JSON list of B lists of T token ids each. Writes `logits` [B, T, V] f32 as
// safetensors. UserError where the lists are ragged, empty or hold what is no token of the model.
void write_logits(const Checkpoint& checkpoint, const std::filesystem::path& tokens,
                  const std::filesystem::path& out);

}  // namespace slotwise
