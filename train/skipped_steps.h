// Steps that were left out because their gradient was not finite: the weights stay, the run goes
// on. Too many in a row, or a loss that is not finite, and the run has diverged.
#pragma once

#include <cstdint>
#include <string>

#include "train/run_folder.h"

namespace slotwise {

class SkippedSteps {
 public:
  explicit SkippedSteps(std::int64_t before = 0) : all_(before) {}

  // True when this step was left out. UserError when the run has diverged.
  bool count(const RunFolder& folder, std::int64_t step, double loss, double gradient_norm);
  std::string text() const { return text_; }  // of the last one
  std::int64_t all() const { return all_; }

 private:
  std::int64_t all_;
  int in_a_row_ = 0;
  std::string text_;
};

}  // namespace slotwise
