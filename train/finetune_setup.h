// Settings of a finetuning run, and the method made from them.
#pragma once

#include <memory>

#include "data/fact_stream.h"
#include "data/tokenizer.h"
#include "train/finetune_method.h"
#include "train/finetune_run.h"

namespace slotwise {

struct FinetuneSettings {
  std::int64_t steps = 0, evaluate_every = 0, checkpoint_every = 0, micro_batch = 0;
  std::string optimizer_name;  // what the report calls it
  OptimizerSettings optimizer;
  Schedule schedule;
  Sharding sharding;  // the run's
  FactStreamOptions stream;
  // Of smf: the rule by which rows are ranked, and against which background of the checkpoint.
  RankingOptions ranking;
  std::string background;            // "": background.safetensors
  std::int64_t retention_every = 0;  // steps that teach a group of facts; 0: not measured
  std::string retention_questions;   // the set whose questions are asked
  double row_clip = 0.0;
  RowAdamOptions row_adam;
  std::int64_t prefix_cache_bytes = 0;
  double lora_alpha = 0.0;  // 0: twice the rank
  bool lora_attention_only = false;
};

// Keys of [finetune] that this method does not read. A section may hold them, for other methods.
std::vector<std::string> unused_settings(const std::string& method,
                                         const std::string& row_optimizer);

// "adam" or "sgd".
std::string row_optimizer_name(const FinetuneRequest& request);

// UserError where the method and its options do not fit.
FinetuneSettings read_finetune_settings(const FinetuneRequest& request);

// `checkpoint`: where the background lies, for the rules that need it.
std::unique_ptr<FinetuneMethod> make_method(const FinetuneRequest& request,
                                            const FinetuneSettings& settings, MemoryModel& model,
                                            const std::filesystem::path& checkpoint,
                                            const Tokenizer& tokenizer);

}  // namespace slotwise
