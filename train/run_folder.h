// The folder of one training run, and what makes it resume by itself:
//   run.json        the settings it was started with; another start must have the same
//   metrics.jsonl   a line per step and per evaluation
//   checkpoint/     weights and, while unfinished, optimizer state and step
//   result.json     written last: the run is finished
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace slotwise {

struct RunRequest {
  std::filesystem::path out;
  bool fresh = false;  // throw away what an earlier run left in `out`
  bool quiet = false;
  bool memory_report = false;
  std::int64_t stop_after =
      0;  // stop after so many steps of this start, as an interrupt would; 0: never
};

class RunFolder {
 public:
  // Looks, and changes nothing. UserError when `out` holds a run with other settings, naming the
  // first that differs.
  RunFolder(const RunRequest& request, const nlohmann::json& settings);
  // Makes the folder and writes run.json: to be called when everything else has been found right,
  // so that a start with a mistake leaves no trace.
  void begin();

  bool finished() const;
  bool resumable() const;  // a checkpoint with trainer.json is there
  // UserError when a loss or a gradient norm is no finite number: a run that diverges stops with
  // its last checkpoint as it was.
  void expect_finite(std::int64_t step, double loss, double gradient_norm) const;
  std::filesystem::path checkpoint() const { return out_ / "checkpoint"; }
  std::filesystem::path metrics() const { return out_ / "metrics.jsonl"; }
  std::filesystem::path result() const { return out_ / "result.json"; }
  void write_result(const nlohmann::json& result) const;

 private:
  std::filesystem::path out_;
  bool fresh_ = false;
  std::string settings_;  // text of run.json
};

enum class RunEnd { finished, interrupted };

}  // namespace slotwise
