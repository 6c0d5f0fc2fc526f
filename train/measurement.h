// A measured number with all that a reader must know: what was measured on which set, over how many
// questions or tokens, and its 95 % interval. See docs/evaluation.md for every measure.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "train/confidence.h"

namespace slotwise {

struct Measurement {
  std::string set;   // "hellaswag"
  std::string key;   // in JSON: "accuracy_per_byte"
  std::string name;  // for people: "accuracy, log-likelihood a byte"
  double value = 0;  // NaN where nothing was counted: "-" in the table, null in JSON
  std::optional<Interval> interval;
  std::int64_t count = 0;
  std::string counted = "questions";
};

// What one set gave; `note`: how it was asked, and what was left out.
struct Measured {
  std::vector<Measurement> rows;
  std::string note;
};

// A table with a line each: set, measure, value, interval, count; then the notes.
std::string measured_text(const std::vector<Measured>& sets);
// [{"set", "measure", "name", "value", "low", "high", "count", "counted", "note"}]; no interval:
// null.
nlohmann::json measured_json(const std::vector<Measured>& sets);

}  // namespace slotwise
