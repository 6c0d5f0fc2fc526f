// Wordings of a question and its answer, made by rules from plain questions as people type them
// ("who wrote hamlet", "Which city is the capital of France?"): no model and no list of facts is
// behind them, so some read clumsily. Every wording holds what is asked for and the first answer.
// The last frame is the one that tests ask with: it is kept out of a tested question's wordings.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace slotwise {

// Names of the frames, in the order of frame_question(); the last is the test frame.
const std::vector<std::string>& question_frame_names();
std::size_t test_frame();

// The question and its answer in frame `frame`. The question ends without its question mark.
std::string frame_question(std::size_t frame, std::string_view question, std::string_view answer);
// The test frame, cut before the answer.
std::string test_prompt(std::string_view question);

// White space joined, a final question mark or full stop dropped, a first question word in lower
// case.
std::string plain_question(std::string_view question);

// The rules that frames use; on plain questions.
// "who wrote hamlet", "Shakespeare" -> "Shakespeare wrote hamlet".
std::string as_statement(std::string_view question, std::string_view answer);
// "what is the capital of france" -> "of france, what is the capital".
std::string reordered(std::string_view question);
// Words that carry the meaning: "what is the capital of france" -> "capital france".
std::string shortened(std::string_view question);
// shortened(), in lower case, sorted, without repeats: equal for questions that ask the same words.
std::string content_key(std::string_view question);

}  // namespace slotwise
