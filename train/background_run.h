// Measuring the background usage of a checkpoint over its pretraining data.
#pragma once

#include <filesystem>

#include "core/dtype.h"
#include "train/options.h"
#include "train/run_folder.h"

namespace slotwise {

struct BackgroundRequest {
  Options options;  // section [background]: batches, batch (rows of one), window
  std::filesystem::path checkpoint;
  std::filesystem::path data;
  std::uint64_t seed = 0;
  bool quiet = false;
  bool fresh = false;
  Device device;
};
// Writes background.safetensors into the checkpoint. Does nothing where a
// background of this model, data, seed and batch shape is there already.
RunEnd measure_background(const BackgroundRequest& request);

}  // namespace slotwise
