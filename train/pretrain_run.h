// Pretraining: a new model on a dataset's mixture, by AdamW; the value table with its own rate and
// clip group.
#pragma once

#include <filesystem>

#include "core/dtype.h"
#include "train/options.h"
#include "train/run_folder.h"

namespace slotwise {

struct PretrainRequest {
  RunRequest run;
  Options options;  // sections [model], [memory], [pretrain], [evaluate]
  std::filesystem::path data;
  std::uint64_t seed = 0;
  Device device;
  DType product_type = DType::f32;  // operands of matrix products: f32 or bf16
};
RunEnd pretrain(const PretrainRequest& request);

}  // namespace slotwise
