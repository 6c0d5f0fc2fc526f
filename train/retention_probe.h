// Asks the questions of a stream's facts when a group of them has just been taught.
#pragma once

#include "data/dataset.h"
#include "train/evaluation.h"
#include "train/retention.h"

namespace slotwise {

struct RetentionRequest {
  std::int64_t steps = 0;  // of the run
  std::int64_t every = 1;  // steps that teach a group
  std::string questions;   // a set of the dataset
};

class RetentionProbe {
 public:
  // All questions of the set are asked, whatever set or limit the options name.
  RetentionProbe(const Dataset& dataset, EvaluationOptions options, std::int64_t positions,
                 const FactStream& stream, const RetentionRequest& request);
  // Throws Interrupted; it is due again then.
  void ask_if_due(MemoryModel& model, std::int64_t step);
  RetentionMatrix& matrix() { return matrix_; }

 private:
  Evaluator evaluator_;
  RetentionMatrix matrix_;
};

}  // namespace slotwise
