// The progress line of long work: step, figures, rate and time left. On a terminal one line is
// rewritten; in a file a line is printed every tenth of the way.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace slotwise {

struct StepReport {
  std::int64_t step = 0;  // finished steps
  double loss = 0, gradient_norm = 0, learning_rate = 0;
  std::int64_t tokens = 0;  // of this step
  double seconds = 0;       // that it took, without evaluations and saves
};

class Progress {
 public:
  Progress(std::string what, std::int64_t first_step, std::int64_t total_steps, bool quiet);
  ~Progress();
  void report(const StepReport& step);
  // Work that has no loss to show; nothing is printed in its first `silent_seconds`.
  void count(std::int64_t done, std::int64_t tokens, double silent_seconds = 0);
  void message(const std::string& line);  // a line of its own
  // While steps were made, where report() was told how long they took, else since the start.
  double tokens_per_second() const;
  double seconds() const;  // since the start, with all that came between the steps

 private:
  using Clock = std::chrono::steady_clock;
  bool due(std::int64_t step) const;
  void print(std::int64_t step, const std::string& figures);

  std::string what_;
  std::int64_t first_, total_;
  bool quiet_, terminal_;
  bool line_open_ = false;
  Clock::time_point start_, last_print_;
  std::int64_t tokens_ = 0;
  double step_seconds_ = 0;
};

// What a line may have without wrapping: of the terminal, or 79 where it does not say.
int terminal_columns();

double seconds_since(std::chrono::steady_clock::time_point begin);
std::string duration_text(double seconds);  // "1 h 05 min", "3 min 20 s", "12 s"

}  // namespace slotwise
