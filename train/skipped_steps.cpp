#include "train/skipped_steps.h"

#include <fmt/format.h>

#include <cmath>

namespace slotwise {

bool SkippedSteps::count(const RunFolder& folder, std::int64_t step, double loss,
                         double gradient_norm) {
  constexpr int kMostInARow = 8;
  folder.expect_finite(step, loss, 0.0);
  if (std::isfinite(gradient_norm)) {
    in_a_row_ = 0;
    return false;
  }
  if (++in_a_row_ > kMostInARow) folder.expect_finite(step, loss, gradient_norm);
  ++all_;
  text_ = fmt::format("step {} left out: its gradient norm is {}; {} so far", step,
                      std::abs(gradient_norm), all_);  // nan has a sign, too
  return true;
}

}  // namespace slotwise
