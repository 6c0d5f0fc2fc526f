// The fixed shapes in which whole training steps are timed, and the files that hand the same
// weights and batches to a peer:
//   config.json, model.safetensors   as in a checkpoint
//   adapters.safetensors             LoRA's start
//   inputs.safetensors               pretrain.<i>.tokens, .targets, finetune.<i>.tokens, .targets
//                                    [B, T]; df [N]
#pragma once

#include <filesystem>

#include "data/batch.h"
#include "train/options.h"

namespace slotwise::bench {

struct StepInputs {
  std::vector<TokenBatch> pretrain, finetune;
  Tensor df;                 // [N] i32
  std::int64_t batches = 0;  // |B| of df
};

struct StepShape {
  std::string name;
  Options options;  // [model], [memory]
  std::int64_t vocabulary = 0;
  int rows = 36, length = 64;  // of a batch, where it is drawn
  std::int64_t rank = 32;      // LoRA
};

// biographies: the preset's model, with batches from `dataset` (made by slotwise-prepare).
// d512: 8 layers of width 512, 2^18 slots, 36 sequences of 64 tokens; drawn with a Zipf law.
// For GPUs, drawn likewise: gpt2, a model of GPT-2's size (12 layers of width 768, vocabulary
// 50257, 8 sequences of 1024 tokens, no memory), and paper, the shape of the SMF paper's model (22
// layers of width 2048, a memory of 2^20 slots x 1024 in layer 12, 4 sequences of 1024 tokens).
// To try the programs with: tiny, and tiny_dense without a memory.
StepShape step_shape(const std::string& name, const std::filesystem::path& dataset);
StepInputs make_step_inputs(const StepShape& shape, const std::filesystem::path& dataset);
void write_step_files(const StepShape& shape, const StepInputs& inputs,
                      const std::filesystem::path& folder);
StepInputs read_step_inputs(const std::filesystem::path& folder);

}  // namespace slotwise::bench
