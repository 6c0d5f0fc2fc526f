// A checkpoint folder reads like a Hugging Face Llama folder (config.json, model.safetensors,
// tokenizer.json), with our own state beside it (optimizer.safetensors, trainer.json,
// background*.safetensors) and SHA256SUMS over all but the backgrounds, which are written later and
// carry their own digests. The folder is written aside, flushed and exchanged
// with the old one in one rename.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/safetensors.h"
#include "data/tokenizer.h"
#include "memory/memory_model.h"

namespace slotwise {

struct CheckpointState {
  std::vector<NamedTensor> optimizer;  // empty: the file is left out
  std::string trainer_json;            // empty: the file is left out
  std::vector<NamedTensor> adapters;   // LoRA parameters, empty: left out
  std::int64_t step = 0;               // for the message when the weights are not finite
};

// `keep_from`: a folder whose backgrounds come along where they belong to this model, too; empty:
// none.
void save_checkpoint(const std::filesystem::path& folder, const MemoryModel& model,
                     const Tokenizer& tokenizer, const CheckpointState& state,
                     const std::filesystem::path& keep_from = {});

struct Checkpoint {
  std::filesystem::path folder;
  std::unique_ptr<MemoryModel> model;
  std::unique_ptr<Tokenizer> tokenizer;
};

// Verifies the checksums, builds the model and fills it. UserError where anything is missing,
// truncated, corrupted or of another shape.
Checkpoint load_checkpoint(const std::filesystem::path& folder, Device device);

// Fills `tensors` (by name) from a file of a checkpoint; every name must be there with its shape.
void load_tensors(const TensorFile& file, const std::vector<NamedTensor>& tensors);

// UserError naming the step and a tensor that holds NaN or infinity. save_checkpoint() asks this
// first: a model that diverged never replaces a good one.
void expect_finite_weights(const MemoryModel& model, std::int64_t step);

// trainer.json; a null value where the checkpoint has none.
nlohmann::json read_trainer_json(const std::filesystem::path& folder);
// The folder itself, or what an interrupted exchange left of it; UserError where there is neither.
std::filesystem::path existing_checkpoint(const std::filesystem::path& folder);
bool checkpoint_exists(const std::filesystem::path& folder);

// SHA256SUMS of a folder: written over its files but the backgrounds, or compared.
void write_checksums(const std::filesystem::path& folder);
void verify_checksums(const std::filesystem::path& folder);

}  // namespace slotwise
