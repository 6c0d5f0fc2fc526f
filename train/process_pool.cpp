#include "train/process_pool.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>

#include "core/error.h"

namespace slotwise {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The signals that the pool takes itself, blocked while it runs.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigemptyset(&taken_);
    for (int signal : {SIGINT, SIGTERM, SIGCHLD}) sigaddset(&taken_, signal);
    pthread_sigmask(SIG_BLOCK, &taken_, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

  // The next signal, or 0 after 50 ms: in a process with other threads SIGCHLD may go elsewhere.
  int wait() const {
    const timespec patience{0, 50'000'000};
    const int signal = sigtimedwait(&taken_, nullptr, &patience);
    return signal < 0 ? 0 : signal;
  }
  const sigset_t& taken() const { return taken_; }
  const sigset_t& before() const { return before_; }

 private:
  sigset_t taken_, before_;
};

std::vector<std::string> environment_with(
    const std::vector<std::pair<std::string, std::string>>& additions) {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry, key = text.substr(0, text.find('='));
    const bool replaced = std::any_of(additions.begin(), additions.end(),
                                      [&](auto& each) { return each.first == key; });
    if (!replaced) out.push_back(text);
  }
  for (const auto& [key, value] : additions) out.push_back(key + "=" + value);
  out.push_back("SLOTWISE_PARENT=" + std::to_string(getpid()));  // see catch_interrupts()
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

// The process, or the error number.
struct Spawned {
  pid_t process = 0;
  int error = 0;
};

Spawned spawn(const PoolJob& job, std::vector<std::string> environment,
              const BlockedSignals& signals) {
  std::error_code error;
  if (job.log.has_parent_path()) std::filesystem::create_directories(job.log.parent_path(), error);
  const std::string log = std::filesystem::absolute(job.log).string();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  if (!job.folder.empty()) posix_spawn_file_actions_addchdir_np(&actions, job.folder.c_str());

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setsigmask(&attributes, &signals.before());
  posix_spawnattr_setsigdefault(&attributes, &signals.taken());

  std::vector<std::string> command = job.command;
  Spawned spawned;
  spawned.error = posix_spawnp(&spawned.process, command.front().c_str(), &actions, &attributes,
                               pointers(command).data(), pointers(environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return spawned;
}

class Pool {
 public:
  Pool(const std::vector<PoolJob>& jobs, const PoolOptions& options)
      : jobs_(jobs), options_(options), environment_(environment_with(options.environment)) {
    SLOTWISE_CHECK(options.jobs >= 1, "[pool] expected at least one job at a time, got {}",
                   options.jobs);
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      states_.push_back(jobs[i].finished ? JobState::finished_before : JobState::waiting);
      for (std::size_t earlier : jobs[i].after) {
        SLOTWISE_CHECK(earlier < i, "[pool] job {} must come after those it waits for",
                       jobs[i].name);
      }
    }
    seconds_.resize(jobs.size());
    starts_.resize(jobs.size());
  }

  PoolOutcome run() {
    start_ready();
    report({}, 0);
    while (!running_.empty()) {
      const int signal = signals_.wait();
      if (signal == SIGINT || signal == SIGTERM) stop();
      reap();
      start_ready();
      if (seconds_since(reported_) >= 1) report({}, 0);
    }
    outcome_.seconds = seconds_since(begin_);
    return outcome_;
  }

 private:
  bool stopping() const { return outcome_.interrupted || outcome_.failure.has_value(); }

  bool ready(std::size_t job) const {
    return states_[job] == JobState::waiting &&
           std::all_of(jobs_[job].after.begin(), jobs_[job].after.end(),
                       [&](std::size_t earlier) { return done(earlier); });
  }
  bool done(std::size_t job) const {
    return states_[job] == JobState::finished || states_[job] == JobState::finished_before;
  }

  void start_ready() {
    for (std::size_t job = 0; job < jobs_.size(); ++job) {
      if (stopping() || running_.size() >= static_cast<std::size_t>(options_.jobs)) return;
      if (ready(job)) start(job);
    }
  }

  void start(std::size_t job) {
    starts_[job] = Clock::now();
    const Spawned spawned = spawn(jobs_[job], environment_, signals_);
    if (spawned.error != 0) {
      outcome_.failure = {job, fmt::format("cannot start {}: {}", jobs_[job].command.front(),
                                           std::strerror(spawned.error))};
      return;
    }
    states_[job] = JobState::running;
    running_[job] = spawned.process;
  }

  void stop() {
    // The group: a job that is a script takes its own children along.
    for (const auto& [job, process] : running_) {
      kill(-process, outcome_.interrupted ? SIGKILL : SIGTERM);
    }
    outcome_.interrupted = true;
  }

  void reap() {
    for (auto it = running_.begin(); it != running_.end();) {
      int status = 0;
      const pid_t ended = waitpid(it->second, &status, WNOHANG);
      if (ended == 0 || (ended < 0 && errno == EINTR)) {
        ++it;
        continue;
      }
      const std::size_t job = it->first;
      it = running_.erase(it);
      seconds_[job] = seconds_since(starts_[job]);
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        states_[job] = JobState::finished;
        report(jobs_[job].name, seconds_[job]);
      } else {
        states_[job] = JobState::waiting;
        if (!stopping()) outcome_.failure = {job, reason(status)};
      }
    }
  }

  static std::string reason(int status) {
    if (WIFEXITED(status)) return fmt::format("exit code {}", WEXITSTATUS(status));
    return fmt::format("signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  }

  void report(const std::string& finished, double finished_seconds) {
    reported_ = Clock::now();
    if (!options_.on_progress) return;
    PoolProgress progress{.total = jobs_.size(),
                          .finished = finished,
                          .finished_seconds = finished_seconds,
                          .elapsed_seconds = seconds_since(begin_)};
    for (std::size_t job = 0; job < jobs_.size(); ++job) {
      if (done(job)) ++progress.done;
      if (states_[job] != JobState::running) continue;
      seconds_[job] = seconds_since(starts_[job]);
      progress.running.push_back(jobs_[job].name);
    }
    progress.seconds_left = estimate_seconds_left(jobs_, states_, seconds_, options_.jobs);
    options_.on_progress(progress);
  }

  const std::vector<PoolJob>& jobs_;
  const PoolOptions& options_;
  const std::vector<std::string> environment_;
  const BlockedSignals signals_;
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point reported_ = begin_;
  std::vector<JobState> states_;
  std::vector<double> seconds_;
  std::vector<Clock::time_point> starts_;
  std::map<std::size_t, pid_t> running_;
  PoolOutcome outcome_;
};

}  // namespace

PoolOutcome run_pool(const std::vector<PoolJob>& jobs, const PoolOptions& options) {
  return Pool(jobs, options).run();
}

std::optional<double> estimate_seconds_left(const std::vector<PoolJob>& jobs,
                                            const std::vector<JobState>& states,
                                            const std::vector<double>& seconds, int at_once) {
  struct Sum {
    double seconds = 0, cost = 0;
  };
  std::map<std::string, Sum> kinds;
  Sum all;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (states[i] != JobState::finished) continue;
    for (Sum* sum : {&kinds[jobs[i].kind], &all}) {
      sum->seconds += seconds[i];
      sum->cost += jobs[i].cost;
    }
  }
  if (all.cost <= 0) return std::nullopt;
  double total = 0, longest = 0;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (states[i] == JobState::finished || states[i] == JobState::finished_before) continue;
    const auto kind = kinds.find(jobs[i].kind);
    const Sum& known = kind != kinds.end() && kind->second.cost > 0 ? kind->second : all;
    const double expected = jobs[i].cost * known.seconds / known.cost;
    const double left =
        states[i] == JobState::running ? std::max(0.0, expected - seconds[i]) : expected;
    total += left;
    longest = std::max(longest, left);
  }
  return std::max(total / at_once, longest);
}

}  // namespace slotwise
