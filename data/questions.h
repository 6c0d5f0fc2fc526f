// Question files: JSON Lines, plain, .gz or .zst, one question a row. Fields: `prompt` (the exact
// text that the answer follows) or `question` (a question in plain words, to be put into a prompt),
// and `answers`; further `id`, `half`, `choices` with `label`, `solution`. Other fields are
// ignored.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace slotwise {

struct Question {
  std::string id;                    // the line number where the row has none
  std::string text;                  // the prompt or the question
  bool is_prompt = false;            // `text` is a prompt: use it as it is
  std::vector<std::string> answers;  // all accepted; the first is the one to train on
  std::optional<int> half;           // 0 to choose settings on, 1 to report; none: not marked
  std::vector<std::string> choices;  // multiple choice; else empty
  std::optional<int> label;          // index of the right choice
  std::string solution;              // worked solution; else empty
};

// At least one question; every row has a text and at least one answer.
std::vector<Question> read_questions(const std::filesystem::path& path);

}  // namespace slotwise
