// Scores of short answers: exact match and token F1 after normalisation, the best over all accepted
// answers, equal to the official evaluation scripts of SQuAD 1.1 (Rajpurkar et al. 2016) and
// TriviaQA (Joshi et al. 2017). The two normalisations differ on hyphens and apostrophes, so every
// number says which one it uses.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace slotwise {

enum class AnswerNormalisation {
  squad,      // lower case, ASCII punctuation deleted, a/an/the dropped, white space joined
  trivia_qa,  // underscores to spaces, lower case, punctuation and quotes to spaces, then the same
};

struct AnswerScore {
  double exact = 0.0;  // 1 or 0
  double f1 = 0.0;
};

// Bytes that are no UTF-8 count as U+FFFD.
std::string normalise_answer(std::string_view text, AnswerNormalisation normalisation);

AnswerScore score_answer(std::string_view prediction, std::string_view answer,
                         AnswerNormalisation normalisation);

// Both scores are maxima by themselves, as in the official scripts. At least one answer.
AnswerScore best_score(std::string_view prediction, const std::vector<std::string>& answers,
                       AnswerNormalisation normalisation);

}  // namespace slotwise
