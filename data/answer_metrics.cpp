#include "data/answer_metrics.h"

#include <algorithm>
#include <map>

#include "core/error.h"
#include "data/tokenizer_utf8.h"
#include "data/unicode_lower.h"
#include "data/unicode_regex.h"

namespace slotwise {
namespace {

constexpr char32_t kCapitalDottedI = 0x130;
constexpr char32_t kCombiningDot = 0x307;
constexpr std::string_view kCapitalSigma = "\xCE\xA3";
constexpr std::string_view kFinalSigma = "\xCF\x82";
constexpr std::string_view kAsciiPunctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

std::string replace_matches(const UnicodeRegex& regex, std::string_view text,
                            std::string_view replacement) {
  std::string out;
  std::size_t done = 0;
  regex.for_each_match(text, [&](std::size_t begin, std::size_t end) {
    out.append(text.substr(done, begin - done)).append(replacement);
    done = end;
  });
  out.append(text.substr(done));
  return out;
}

template <class Visit>
void for_each_character(std::string_view text, Visit&& visit) {
  for (std::size_t position = 0; position < text.size();) {
    const Utf8Character character = utf8_character_at(text, position);
    visit(static_cast<char32_t>(character.code_point), text.substr(position, character.byte_count));
    position += character.byte_count;
  }
}

// Python's str.lower(): simple mappings, the final sigma, and the one capital that becomes two.
std::string lower(std::string_view text) {
  std::string with_sigma(text);
  if (text.find(kCapitalSigma) != text.npos) {
    // A sigma ends a word when a letter with case stands before it and none after it, whatever
    // case- ignorable characters stand between.
    static const UnicodeRegex final_sigma(
        R"([\p{Lu}\p{Ll}\p{Lt}][\p{Mn}\p{Me}\p{Cf}\p{Lm}\p{Sk}'.:·’‘․‧]*\KΣ)"
        R"((?![\p{Mn}\p{Me}\p{Cf}\p{Lm}\p{Sk}'.:·’‘․‧]*[\p{Lu}\p{Ll}\p{Lt}]))");
    with_sigma = replace_matches(final_sigma, text, kFinalSigma);
  }
  std::string out;
  for_each_character(with_sigma, [&](char32_t code_point, std::string_view bytes) {
    if (code_point == kCapitalDottedI) {
      append_utf8(out, U'i');
      append_utf8(out, kCombiningDot);
    } else if (const char32_t small = lower_code_point(code_point); small != code_point) {
      append_utf8(out, small);
    } else {
      out.append(bytes);
    }
  });
  return out;
}

std::string delete_punctuation(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (kAsciiPunctuation.find(c) == kAsciiPunctuation.npos) out.push_back(c);
  }
  return out;
}

std::string punctuation_to_spaces(std::string_view text) {
  std::string out;
  for_each_character(text, [&](char32_t code_point, std::string_view bytes) {
    const bool quote = code_point == U'‘' || code_point == U'’' || code_point == U'´';
    const bool ascii = bytes.size() == 1 && kAsciiPunctuation.find(bytes[0]) != bytes.npos;
    quote || ascii ? out.append(" ") : out.append(bytes);
  });
  return out;
}

std::string drop_articles(std::string_view text) {
  // Python's \b between \w and \W, with \w = letters, numbers and the underscore of all scripts.
  static const UnicodeRegex articles(R"((?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_]))");
  return replace_matches(articles, text, " ");
}

// The words of Python's str.split(): its white space also has the four ASCII separators.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  bool inside = false;
  for_each_character(text, [&](char32_t code_point, std::string_view bytes) {
    if (is_white_space(code_point) || (code_point >= 0x1C && code_point <= 0x1F)) {
      inside = false;
      return;
    }
    if (!inside) words.emplace_back();
    inside = true;
    words.back().append(bytes);
  });
  return words;
}

std::vector<std::string> normalised_words(std::string_view raw, AnswerNormalisation normalisation) {
  const std::string text = lower(replace_invalid_utf8(raw));
  return words_of(drop_articles(normalisation == AnswerNormalisation::squad
                                    ? delete_punctuation(text)
                                    : punctuation_to_spaces(text)));
}

AnswerScore score_words(const std::vector<std::string>& prediction,
                        const std::vector<std::string>& answer) {
  AnswerScore score;
  score.exact = prediction == answer ? 1.0 : 0.0;
  std::map<std::string_view, int> left;
  for (const std::string& word : answer) ++left[word];
  int common = 0;
  for (const std::string& word : prediction) {
    const auto found = left.find(word);
    if (found != left.end() && found->second > 0) {
      --found->second;
      ++common;
    }
  }
  if (common == 0) return score;  // two empty texts match exactly, yet their F1 is 0
  const double precision = 1.0 * common / static_cast<double>(prediction.size());
  const double recall = 1.0 * common / static_cast<double>(answer.size());
  score.f1 = (2.0 * precision * recall) / (precision + recall);
  return score;
}

}  // namespace

std::string normalise_answer(std::string_view text, AnswerNormalisation normalisation) {
  std::string out;
  for (const std::string& word : normalised_words(text, normalisation)) {
    if (!out.empty()) out += ' ';
    out += word;
  }
  return out;
}

AnswerScore score_answer(std::string_view prediction, std::string_view answer,
                         AnswerNormalisation normalisation) {
  return score_words(normalised_words(prediction, normalisation),
                     normalised_words(answer, normalisation));
}

AnswerScore best_score(std::string_view prediction, const std::vector<std::string>& answers,
                       AnswerNormalisation normalisation) {
  SLOTWISE_CHECK(!answers.empty(), "[best_score] expected at least one accepted answer");
  const auto words = normalised_words(prediction, normalisation);
  AnswerScore best;
  for (const std::string& answer : answers) {
    const AnswerScore score = score_words(words, normalised_words(answer, normalisation));
    best.exact = std::max(best.exact, score.exact);
    best.f1 = std::max(best.f1, score.f1);
  }
  return best;
}

}  // namespace slotwise
