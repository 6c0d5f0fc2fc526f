#include "train/evaluation_progress.h"

#include "train/interrupt.h"

namespace slotwise {

EvaluationProgress::EvaluationProgress(const std::string& what, std::int64_t batches, bool quiet)
    : progress_(what + ", batch", 0, batches, quiet) {
  throw_if_interrupted();
}

void EvaluationProgress::batch_done(std::int64_t tokens) {
  constexpr double kSilentSeconds = 3;
  progress_.count(++done_, tokens, kSilentSeconds);
  throw_if_interrupted();
}

}  // namespace slotwise
