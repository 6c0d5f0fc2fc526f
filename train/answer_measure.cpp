#include "train/answer_measure.h"

#include "core/error.h"
#include "train/options.h"

namespace slotwise {

const char* key_of(AnswerMeasure measure) {
  return measure == AnswerMeasure::exact ? "exact" : "f1";
}

const char* name_of(AnswerMeasure measure) {
  return measure == AnswerMeasure::exact ? "exact match (SQuAD normalisation)"
                                         : "token F1 (SQuAD normalisation)";
}

AnswerMeasure read_answer_measure(const Options& options) {
  const std::string name = options.text("evaluate.measure", key_of(AnswerMeasure::exact));
  for (const AnswerMeasure each : {AnswerMeasure::exact, AnswerMeasure::f1}) {
    if (name == key_of(each)) return each;
  }
  user_error("evaluate.measure must be exact or f1, got '{}'", name);
}

}  // namespace slotwise
