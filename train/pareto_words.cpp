#include "train/pareto_words.h"

#include <fmt/format.h>

namespace slotwise {

const MeasureWords& words_of(AnswerMeasure measure) {
  static constexpr MeasureWords kExact = {
      .new_column = "new answered",
      .old_column = "old answered",
      .new_axis = "New knowledge answered, %",
      .kept_axis = "Old knowledge kept, % of before",
      .lost_axis = "Old knowledge lost, % of before",
      .matched = "{:.0f} % of the new is answered",
      .lost_column = "old lost",
      .sentence =
          "A question counts as answered when the answer equals an accepted one (exact "
          "match, SQuAD normalisation)."};
  static constexpr MeasureWords kF1 = {
      .new_column = "F1 on the new",
      .old_column = "F1 on the old",
      .new_axis = "F1 on the new knowledge, %",
      .kept_axis = "F1 on the old knowledge, % of before",
      .lost_axis = "F1 lost on the old knowledge, % of before",
      .matched = "the F1 on the new is {:.0f} %",
      .lost_column = "old F1 lost",
      .sentence =
          "Every score is a token F1 (SQuAD normalisation): the best over the accepted "
          "answers, the mean over the questions."};
  return measure == AnswerMeasure::exact ? kExact : kF1;
}

std::string matched_text(AnswerMeasure measure, double matched_target) {
  return fmt::format(fmt::runtime(words_of(measure).matched), 100 * matched_target);
}

}  // namespace slotwise
