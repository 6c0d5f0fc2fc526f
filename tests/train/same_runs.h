// Two training runs compared bit for bit: weights, metrics and results, without what depends on the
// clock; and waiting for a run that is under way.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/files.h"
#include "tests/train/program_runner.h"

namespace slotwise::testing {

namespace fs = std::filesystem;
using nlohmann::json;

inline std::string model_bytes(const fs::path& run) {
  return read_file(run / "checkpoint/model.safetensors");
}

inline json read_json_file(const fs::path& path) {
  return json::parse(read_file(path));
}

// metrics.jsonl without what depends on the clock.
inline json metrics(const fs::path& run) {
  json rows = json::array();
  const std::string text = read_file(run / "metrics.jsonl");
  for (std::size_t begin = 0, end; (end = text.find('\n', begin)) != text.npos; begin = end + 1) {
    rows.push_back(json::parse(text.substr(begin, end - begin)));
    rows.back().erase("tokens_per_second");
  }
  return rows;
}

inline json result(const fs::path& run) {
  json row = read_json_file(run / "result.json");
  row.erase("seconds");
  return row;
}

inline void expect_same_runs(const fs::path& a, const fs::path& b) {
  EXPECT_TRUE(model_bytes(a) == model_bytes(b)) << "the weights differ";
  EXPECT_EQ(metrics(a), metrics(b));
  EXPECT_EQ(result(a), result(b));
}

// Until the run has logged this many steps.
inline void wait_for_steps(RunningProgram& program, const fs::path& run, std::size_t steps) {
  while (!program.ended()) {
    if (fs::exists(run / "metrics.jsonl")) {
      const std::string text = read_file(run / "metrics.jsonl");
      if (std::count(text.begin(), text.end(), '\n') >= static_cast<std::ptrdiff_t>(steps)) return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

}  // namespace slotwise::testing
