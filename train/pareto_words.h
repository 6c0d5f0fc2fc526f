// What the measure of a sweep is called in tables, axes and sentences, so that a figure never says
// "answered" of an F1. Percentages throughout.
#pragma once

#include <string>

#include "train/answer_measure.h"

namespace slotwise {

struct MeasureWords {
  const char* new_column;   // "new answered": a column of the new knowledge, "..., %"
  const char* old_column;   // "old answered"
  const char* new_axis;     // "New knowledge answered, %"
  const char* kept_axis;    // "Old knowledge kept, % of before"
  const char* lost_axis;    // "Old knowledge lost, % of before"
  const char* matched;      // "{} % of the new is answered": with the matched target in place of {}
  const char* lost_column;  // "old lost"
  const char* sentence;     // what a score is
};

const MeasureWords& words_of(AnswerMeasure measure);

// "90 % of the new is answered", "the F1 on the new is 60 %".
std::string matched_text(AnswerMeasure measure, double matched_target);

}  // namespace slotwise
