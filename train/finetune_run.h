// Teaching new facts to a pretrained model by one of several methods:
//   full      every parameter, AdamW
//   lora      low-rank adapters on the linear layers, AdamW
//   smf       the t value rows that TF-IDF marks (or another rule: finetune.rule), row Adam or row
//             SGD; all else keeps its bits
//
// and tf, random, all_rows: like smf, with other choices of rows.
#pragma once

#include <filesystem>
#include <optional>

#include "core/dtype.h"
#include "train/options.h"
#include "train/run_folder.h"

namespace slotwise {

struct FinetuneRequest {
  RunRequest run;
  Options options;  // sections [finetune], [evaluate]
  std::filesystem::path checkpoint;
  std::filesystem::path data;
  std::string method;
  double learning_rate = 0.0;
  // What only some methods have; given to another one it is an error.
  std::optional<std::string> row_optimizer;  // adam (also when absent) or sgd: smf, tf, random,
                                             // all_rows
  std::optional<std::int64_t> rows;          // t: smf, tf, random
  std::optional<std::int64_t> rank;          // lora
  std::vector<std::string> overrides;        // as --set gave them: one without effect is warned of
  std::uint64_t seed = 0;
  bool keep_checkpoint = true;  // write the finished model
  Device device;
  DType product_type = DType::f32;  // operands of matrix products: f32 or bf16
};
RunEnd finetune(const FinetuneRequest& request);

}  // namespace slotwise
