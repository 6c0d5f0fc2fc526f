#include "train/retention_probe.h"

namespace slotwise {
namespace {

Evaluator asker(const Dataset& dataset, EvaluationOptions options, std::int64_t positions,
                const std::string& questions) {
  options.limit = 0;
  Evaluator evaluator(dataset.tokenizer(), options, positions);
  evaluator.add_questions(questions, read_questions(dataset.questions_path(questions)));
  return evaluator;
}

}  // namespace

RetentionProbe::RetentionProbe(const Dataset& dataset, EvaluationOptions options,
                               std::int64_t positions, const FactStream& stream,
                               const RetentionRequest& request)
    : evaluator_(asker(dataset, options, positions, request.questions)),
      matrix_(plan_retention(stream, request.steps, request.every, evaluator_.sets()[0].questions,
                             request.questions),
              request.questions, options.measure) {}

void RetentionProbe::ask_if_due(MemoryModel& model, std::int64_t step) {
  if (matrix_.due(step)) matrix_.add(step, evaluator_.scores(model, evaluator_.sets()[0]));
}

}  // namespace slotwise
