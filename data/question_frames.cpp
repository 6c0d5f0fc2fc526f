#include "data/question_frames.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "core/error.h"

namespace slotwise {
namespace {

using Words = std::vector<std::string>;

std::string lower_ascii(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

Words split(std::string_view text) {
  Words words;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find_first_of(" \t\r\n", begin), text.size());
    if (end > begin) words.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

std::string join(const Words& words, std::size_t begin, std::size_t end) {
  return fmt::format("{}", fmt::join(words.begin() + static_cast<std::ptrdiff_t>(begin),
                                     words.begin() + static_cast<std::ptrdiff_t>(end), " "));
}
std::string join(const Words& words, std::size_t begin = 0) {
  return join(words, begin, words.size());
}

template <std::size_t N>
bool among(const std::array<std::string_view, N>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

constexpr std::array<std::string_view, 8> kQuestionWords = {"who",  "whose", "what", "which",
                                                            "when", "where", "how",  "whom"};
constexpr std::array<std::string_view, 14> kAuxiliaries = {"is",   "are", "was",   "were", "do",
                                                           "does", "did", "has",   "had",  "have",
                                                           "will", "can", "could", "would"};
constexpr std::array<std::string_view, 9> kPrepositions = {"in", "of", "on",   "for", "by",
                                                           "at", "to", "from", "with"};
constexpr std::array<std::string_view, 16> kLittleWords = {
    "a",    "an",  "the",   "that", "this", "it", "its", "there",
    "been", "and", "who's", "be",   "or",   "as", "s",   "what's"};

bool is_question_word(const std::string& word) {
  return among(kQuestionWords, lower_ascii(word));
}
bool is_auxiliary(const std::string& word) {
  return among(kAuxiliaries, lower_ascii(word));
}

// where/when/how AUX rest: the time or the place goes to the end.
std::string circumstance(const Words& words, std::string_view answer) {
  const std::string first = lower_ascii(words[0]);
  if (first == "how" && words.size() > 2 && !is_auxiliary(words[1])) {
    // "how many towns are in X" -> "169 towns are in X"; "how long is X" -> "long is X: 135".
    const std::string second = lower_ascii(words[1]);
    if (second == "many" || second == "much") {
      return fmt::format("{} {}", answer, join(words, 2));
    }
    return fmt::format("{}: {}", join(words, 1), answer);
  }
  const std::size_t begin = words.size() > 1 && is_auxiliary(words[1]) ? 2 : 1;
  return fmt::format("{} {} {}", join(words, begin), first == "how" ? "by" : "in", answer);
}

// "in which year did it end": the word after goes with the question word.
bool names_a_noun(const Words& words, std::size_t at) {
  const std::string word = lower_ascii(words[at]);
  return (word == "which" || word == "what") && at + 1 < words.size() &&
         !is_auxiliary(words[at + 1]);
}

constexpr std::size_t kFrames = 12;
constexpr std::array<std::string_view, kFrames> kNames = {
    "as_asked",     "short_form", "statement", "reordered", "shortened", "keywords",
    "answer_first", "answer_is",  "asked",     "dialogue",  "trivia",    "question_answer"};

}  // namespace

const std::vector<std::string>& question_frame_names() {
  static const std::vector<std::string> names(kNames.begin(), kNames.end());
  return names;
}

std::size_t test_frame() {
  return kFrames - 1;
}

std::string plain_question(std::string_view question) {
  Words words = split(question);
  while (!words.empty()) {
    std::string& last = words.back();
    while (!last.empty() && (last.back() == '?' || last.back() == '.')) last.pop_back();
    if (!last.empty()) break;
    words.pop_back();
  }
  if (!words.empty() && is_question_word(words[0])) words[0] = lower_ascii(words[0]);
  return join(words);
}

std::string as_statement(std::string_view question, std::string_view answer) {
  const Words words = split(question);
  const auto found = std::find_if(words.begin(), words.end(), is_question_word);
  if (found == words.end()) return fmt::format("{}: {}", question, answer);
  const auto at = static_cast<std::size_t>(found - words.begin());
  const std::string word = lower_ascii(*found);
  if (at == 0 && (word == "when" || word == "where" || word == "how")) {
    return circumstance(words, answer);
  }
  if (at == 0 && word == "which" && names_a_noun(words, at)) {
    return fmt::format("{} is the {} that {}", answer, words[1], join(words, 2));
  }
  const std::size_t after = at > 0 && names_a_noun(words, at) ? at + 2 : at + 1;
  std::string out = join(words, 0, at);
  if (!out.empty()) out += ' ';
  out += answer;
  if (after < words.size()) out += ' ' + join(words, after);
  return out;
}

std::string reordered(std::string_view question) {
  const Words words = split(question);
  if (words.size() < 3) return std::string(question);
  std::size_t cut = 0;
  for (std::size_t i = words.size() - 1; i >= 2 && cut == 0; --i) {
    if (i + 1 < words.size() && among(kPrepositions, lower_ascii(words[i]))) cut = i;
  }
  if (cut == 0) cut = (words.size() + 1) / 2;
  return fmt::format("{}, {}", join(words, cut), join(words, 0, cut));
}

std::string shortened(std::string_view question) {
  Words kept;
  for (const std::string& word : split(question)) {
    const std::string small = lower_ascii(word);
    const bool dropped = among(kQuestionWords, small) || among(kAuxiliaries, small) ||
                         among(kPrepositions, small) || among(kLittleWords, small);
    if (!dropped) kept.push_back(word);
  }
  return kept.empty() ? std::string(question) : join(kept);
}

std::string content_key(std::string_view question) {
  std::string letters = lower_ascii(question);
  for (char& c : letters) {
    const bool keep =
        (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80;
    if (!keep) c = ' ';
  }
  const Words words = split(shortened(letters));
  const std::set<std::string> sorted(words.begin(), words.end());
  return fmt::format("{}", fmt::join(sorted, " "));
}

std::string test_prompt(std::string_view question) {
  return fmt::format("Question: {}?\nAnswer:", question);
}

std::string frame_question(std::size_t frame, std::string_view q, std::string_view a) {
  switch (frame) {
    case 0:
      return fmt::format("{}? {}", q, a);
    case 1:
      return fmt::format("Q: {}?\nA: {}", q, a);
    case 2:
      return as_statement(q, a) + ".";
    case 3:
      return fmt::format("{}? {}", reordered(q), a);
    case 4:
      return fmt::format("{}: {}", shortened(q), a);
    case 5:
      return fmt::format("Search: {}\nResult: {}", shortened(q), a);
    case 6:
      return fmt::format("{} is the answer to: {}?", a, q);
    case 7:
      return fmt::format("The answer to \"{}\" is {}.", q, a);
    case 8:
      return fmt::format("Asked {}, one says {}.", q, a);
    case 9:
      return fmt::format("- {}?\n- {}", q, a);
    case 10:
      return fmt::format("Trivia: {}? It is {}.", q, a);
    case 11:
      return fmt::format("{} {}", test_prompt(q), a);
  }
  fail("[question_frames] there is no frame {}", frame);
}

}  // namespace slotwise
