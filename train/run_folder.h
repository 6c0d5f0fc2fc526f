// The folder of one training run, and what makes it resume by itself:
//   run.json         the settings it was started with; another start must have the same
//   metrics.jsonl    a line per step and per evaluation
//   checkpoint/      weights and, while unfinished, optimizer state and step
//   result.json      written last: the run is finished
//   result.pending   the result while the last checkpoint is being written
//   retention.*      the picture of what a finetuning stream forgot, where that was asked for
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "train/sharding.h"

namespace slotwise {

struct RunRequest {
  std::filesystem::path out;
  bool fresh = false;  // throw away what an earlier run left in `out`
  bool quiet = false;
  bool memory_report = false;
  bool check_numerics = false;  // see train/check_numerics.h
  std::string profile_steps;    // see train/profiled_steps.h
  // Stop after so many steps of this start, as an interrupt would; 0: never.
  std::int64_t stop_after = 0;
  int threads = 0;  // 0: as the run began, or else as many as OpenMP takes by itself
  // The ranks that train together. The root alone writes; see train/sharding.h for the shards.
  std::shared_ptr<Communicator> group = single_process();
  std::int64_t shards = 0;  // 0: as the run began, or else one for each rank
};

// The shards of a batch: as asked for, as the run in `out` began, or one for each rank. UserError
// where it began with others, or the ranks cannot share them evenly.
std::int64_t shards_of_run(const RunRequest& request, int ranks);

// When a save is due that nobody asked for: once a minute, and where saving takes long so seldom
// that it costs at most a twentieth of the time between.
class SaveClock {
 public:
  using Time = std::chrono::steady_clock::time_point;
  explicit SaveClock(Time start) : ended_(start) {}
  bool due(Time now) const;
  void saved(Time begin, Time end);

 private:
  Time ended_;
  std::chrono::steady_clock::duration cost_{};  // of the last save
};

class RunFolder {
 public:
  // Looks, and changes no file. UserError when `out` holds a run with other settings, naming the
  // first that differs. Sets the number of threads: other bits come of another number, so a run
  // keeps that with which it began, and the number of shards likewise. The caller's root holds the
  // RunLock of the folder. Of the rest, begin() and settle() are called by all ranks, and what
  // writes by the root.
  RunFolder(const RunRequest& request, const nlohmann::json& settings);
  // Makes the folder and writes run.json: to be called when everything else has been found right,
  // so that a start with a mistake leaves no trace.
  void begin();

  // True when the run is finished. Puts the result of one in place that was killed after its last
  // checkpoint, and clears away what a finished run left behind. UserError when the model that a
  // finished run should have is missing or damaged. `wants_model`: a run that was to keep none does
  // not do.
  bool settle(bool wants_model = true);
  const Sharding& sharding() const { return sharding_; }
  bool resumable() const;  // a checkpoint with trainer.json is there
  // UserError when a loss or a gradient norm is no finite number: a run that diverges stops with
  // its last checkpoint as it was.
  void expect_finite(std::int64_t step, double loss, double gradient_norm) const;
  // Whether to save at this step: every `every` steps, or, where that is 0, as SaveClock says.
  bool checkpoint_due(std::int64_t step, std::int64_t every) const;
  void save_timed(const std::function<void()>& save);  // tells the clock
  std::filesystem::path checkpoint() const { return out_ / "checkpoint"; }
  std::filesystem::path metrics() const { return out_ / "metrics.jsonl"; }
  // Ends the run. `save_model` writes the finished checkpoint, without the state to resume from;
  // null: no model is kept. A kill at any moment leaves a run that resumes or one that is finished.
  void finish(nlohmann::json result, const std::function<void()>& save_model) const;

 private:
  std::filesystem::path result() const { return out_ / "result.json"; }
  std::filesystem::path pending() const { return out_ / "result.pending"; }
  void choose_threads(const nlohmann::json& before, int wanted);
  void expect_alike() const;
  void write_settings();
  bool settle_alone(bool wants_model);
  void remove_checkpoint() const;
  void remove_leftovers() const;  // what killed programs were writing aside

  std::filesystem::path out_;
  bool fresh_ = false;
  int threads_ = 0;
  Sharding sharding_;
  SaveClock clock_{std::chrono::steady_clock::now()};
  std::string settings_;  // text of run.json
};

enum class RunEnd { finished, interrupted };

}  // namespace slotwise
