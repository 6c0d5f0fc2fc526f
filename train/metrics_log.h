// metrics.jsonl of a run: one JSON object a line, each with its "step". On resume the lines past
// the checkpoint's step are dropped, so that the file reads as if the run had never stopped.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "core/communicator.h"

namespace slotwise {

class JsonLinesWriter;

class MetricsLog {
 public:
  // Keeps lines with step <= last_step; -1 starts a new file.
  MetricsLog(const std::filesystem::path& path, std::int64_t last_step);
  // Null on all ranks but the root.
  static std::unique_ptr<MetricsLog> of_root(const Communicator& group,
                                             const std::filesystem::path& path,
                                             std::int64_t last_step);
  ~MetricsLog();
  void write(const nlohmann::json& row);

 private:
  std::unique_ptr<JsonLinesWriter> writer_;
};

}  // namespace slotwise
