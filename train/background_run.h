// Measuring the background usage of a checkpoint, over its pretraining data or another corpus. A
// checkpoint may hold several backgrounds, told apart by name.
#pragma once

#include <filesystem>

#include "core/dtype.h"
#include "train/background_corpus.h"
#include "train/options.h"
#include "train/run_folder.h"

namespace slotwise {

struct BackgroundRequest {
  Options options;  // section [background]: batches, batch (rows of one), window
  std::filesystem::path checkpoint;
  std::filesystem::path data;
  std::string name;  // "": background.safetensors; else background.NAME.safetensors
  CorpusChoice corpus;
  std::uint64_t seed = 0;
  bool quiet = false;
  bool fresh = false;
  Device device;
};
// UserError for a [background] that cannot be counted.
void check_background_settings(const Options& options);
// Writes the background into the checkpoint. Does nothing where one of this model, corpus, seed and
// batch shape is there already.
RunEnd measure_background(const BackgroundRequest& request);

}  // namespace slotwise
