#include "train/metrics_log.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/files.h"
#include "data/json_lines.h"

namespace slotwise {
namespace {

std::string kept_lines(const std::filesystem::path& path, std::int64_t last_step) {
  std::string kept, line;
  std::ifstream file(path);
  while (std::getline(file, line)) {
    const auto row = nlohmann::json::parse(line, nullptr, false);
    // A line cut off by a crash is dropped with what follows the checkpoint.
    if (row.is_object() && row.value("step", last_step + 1) <= last_step) kept += line + "\n";
  }
  return kept;
}

}  // namespace

MetricsLog::MetricsLog(const std::filesystem::path& path, std::int64_t last_step) {
  write_file_atomically(path, last_step < 0 ? "" : kept_lines(path, last_step));
  writer_ = std::make_unique<JsonLinesWriter>(path);
}

std::unique_ptr<MetricsLog> MetricsLog::of_root(const Communicator& group,
                                                const std::filesystem::path& path,
                                                std::int64_t last_step) {
  return group.is_root() ? std::make_unique<MetricsLog>(path, last_step) : nullptr;
}

MetricsLog::~MetricsLog() = default;

void MetricsLog::write(const nlohmann::json& row) {
  writer_->write(row);
}

}  // namespace slotwise
