// Looking into a checkpoint.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/dtype.h"

namespace slotwise {

struct InspectRequest {
  std::filesystem::path checkpoint;
  std::filesystem::path data;      // empty: no usage report
  std::vector<std::string> texts;  // slots read by each token of these
  std::int64_t top = 4;
  bool tensors = false;
  std::filesystem::path logits_tokens, logits_out;  // see train/logits.h; empty: no logits
  std::filesystem::path trace;  // see memory/access_trace.h; empty: none. Needs data
  std::int64_t trace_batches = 8;
  int trace_table = 0;
  Device device;
};
void inspect(const InspectRequest& request);  // prints

}  // namespace slotwise
