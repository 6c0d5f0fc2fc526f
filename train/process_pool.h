// Runs programs side by side: a list of jobs, each with the jobs that must have finished before it,
// at most `jobs` of them at a time, the first ready one of the list first. Output of a job goes to
// its log. SIGINT and SIGTERM are taken as the wish to stop: the children get SIGTERM (SIGKILL at
// the second signal) and are waited for. Children stand in process groups of their own, so that
// Ctrl-C in a terminal reaches this process only.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace slotwise {

struct PoolJob {
  std::string name;
  std::string kind;                  // jobs of a kind take about the same time
  std::vector<std::string> command;  // the program is searched in PATH when it has no slash
  std::filesystem::path log;         // replaced; its folder is made
  std::vector<std::size_t> after;    // indices of earlier jobs of the list
  double cost = 1;                   // relative time, until a job of its kind has finished
  bool finished = false;             // by an earlier call: not started again
  std::filesystem::path folder;      // working folder; empty: that of this process
};

struct PoolProgress {
  std::size_t done = 0, total = 0;
  std::string finished;  // the job that has just finished, or empty
  double finished_seconds = 0;
  std::vector<std::string> running;
  double elapsed_seconds = 0;
  std::optional<double> seconds_left;  // unknown until a job has finished
};

struct PoolOptions {
  int jobs = 1;
  std::vector<std::pair<std::string, std::string>> environment;  // on top of that of this process
  std::function<void(const PoolProgress&)> on_progress;          // after each job and each second
};

struct PoolFailure {
  std::size_t job = 0;
  std::string reason;  // "exit code 1", "signal 9 (Killed)", "cannot start: ..."
};

struct PoolOutcome {
  std::optional<PoolFailure> failure;  // the first; jobs running then have been waited for
  bool interrupted = false;
  double seconds = 0;
};

PoolOutcome run_pool(const std::vector<PoolJob>& jobs, const PoolOptions& options);

// Time left from the times so far. `seconds[i]`: time that job i took (finished in this call) or
// has been running; `state[i]` says which.
enum class JobState { waiting, running, finished, finished_before };
std::optional<double> estimate_seconds_left(const std::vector<PoolJob>& jobs,
                                            const std::vector<JobState>& states,
                                            const std::vector<double>& seconds, int at_once);

}  // namespace slotwise
