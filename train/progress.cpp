#include "train/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "core/error.h"
#include "train/rank_launcher.h"

namespace slotwise {

int terminal_columns() {
  winsize window{};
  const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1;
  return known ? window.ws_col - 1 : 79;
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  if (whole >= 3600) return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
  if (whole >= 60) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} s", whole);
}

Progress::Progress(std::string what, std::int64_t first_step, std::int64_t total_steps, bool quiet)
    : what_(std::move(what)),
      first_(first_step),
      total_(total_steps),
      quiet_(quiet),
      terminal_(writes_to_terminal()),
      start_(Clock::now()),
      last_print_(start_) {}

Progress::~Progress() {
  if (line_open_) std::fputc('\n', stdout);
  std::fflush(stdout);
}

double Progress::seconds() const {
  return seconds_since(start_);
}

double Progress::tokens_per_second() const {
  return static_cast<double>(tokens_) /
         std::max(step_seconds_ > 0 ? step_seconds_ : seconds(), 1e-9);
}

bool Progress::due(std::int64_t step) const {
  if (step == total_) return true;
  if (terminal_) return Clock::now() - last_print_ > std::chrono::milliseconds(200);
  const std::int64_t tenth = std::max<std::int64_t>(1, (total_ - first_) / 10);
  return (step - first_) % tenth == 0;
}

void Progress::report(const StepReport& step) {
  tokens_ += step.tokens;
  step_seconds_ += step.seconds;
  if (quiet_ || !due(step.step)) return;
  print(step.step, fmt::format("  loss {:.4f}  grad norm {:.3f}  lr {:.2e}", step.loss,
                               step.gradient_norm, step.learning_rate));
}

void Progress::count(std::int64_t done, std::int64_t tokens, double silent_seconds) {
  tokens_ += tokens;
  if (quiet_ || !due(done) || seconds() < silent_seconds) return;
  print(done, "");
}

void Progress::print(std::int64_t step, const std::string& figures) {
  last_print_ = Clock::now();
  const double done = static_cast<double>(step - first_);
  const double left = seconds() / std::max(done, 1.0) * static_cast<double>(total_ - step);
  // What matters least stands last: a narrow terminal cuts it off.
  const std::string line = fmt::format(
      "{} {}/{}  {}{}  {:.0f} tokens/s", what_, step, total_,
      step == total_ ? "took " + duration_text(seconds()) : duration_text(left) + " left", figures,
      tokens_per_second());
  if (terminal_) {
    // A longer line would wrap, and the next one not cover it.
    std::printf("\r\x1b[K%.*s", terminal_columns(), line.c_str());
    line_open_ = true;
  } else {
    std::printf("%s\n", line.c_str());
  }
  std::fflush(stdout);
}

void Progress::message(const std::string& line) {
  if (quiet_) return;
  if (line_open_) std::fputc('\n', stdout);
  line_open_ = false;
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

}  // namespace slotwise
