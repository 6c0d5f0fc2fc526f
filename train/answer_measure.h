// The one number a question that a sweep compares: settings are chosen and methods ranked by its
// mean. Both under SQuAD's normalisation, the best over all accepted answers.
#pragma once

#include <string>

namespace slotwise {

class Options;

enum class AnswerMeasure {
  exact,  // exact match: 1 or 0 a question
  f1,     // token F1, in [0, 1] a question
};

// "exact" or "f1": the value of evaluate.measure and the key of the scores in JSON and CSV.
const char* key_of(AnswerMeasure measure);
// "exact match (SQuAD normalisation)" or "token F1 (SQuAD normalisation)".
const char* name_of(AnswerMeasure measure);

// evaluate.measure, exact where it is not given. UserError for another name.
AnswerMeasure read_answer_measure(const Options& options);

}  // namespace slotwise
