// Progress of a long evaluation, one set at a time, and the place where Ctrl-C stops it: between
// two batches. Nothing is printed in the first seconds, so short evaluations stay silent.
#pragma once

#include <string>

#include "train/progress.h"

namespace slotwise {

class EvaluationProgress {
 public:
  // Throws Interrupted where that was asked for before.
  EvaluationProgress(const std::string& what, std::int64_t batches, bool quiet);
  // Throws Interrupted after a batch in which that was asked for.
  void batch_done(std::int64_t tokens);

 private:
  Progress progress_;
  std::int64_t done_ = 0;
};

}  // namespace slotwise
