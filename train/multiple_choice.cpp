#include "train/multiple_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "train/prompt.h"

namespace slotwise {
namespace {

// Code points of UTF-8: all bytes but those that continue one.
double characters_of(const std::string& text) {
  return static_cast<double>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

bool mostly_questions(const std::vector<Question>& questions) {
  const auto marked = std::count_if(questions.begin(), questions.end(), [](const Question& each) {
    const std::size_t last = each.text.find_last_not_of(" \n");
    return last != std::string::npos && each.text[last] == '?';
  });
  return 2 * static_cast<std::size_t>(marked) > questions.size();
}

std::vector<double> divided(const std::vector<double>& sums, const std::vector<double>& lengths) {
  std::vector<double> out;
  for (std::size_t i = 0; i < sums.size(); ++i) out.push_back(sums[i] / std::max(1.0, lengths[i]));
  return out;
}

}  // namespace

bool has_choices(const std::vector<Question>& questions) {
  return !questions.empty() &&
         std::all_of(questions.begin(), questions.end(),
                     [](const Question& each) { return !each.choices.empty(); });
}

int right_choice(const Question& question) {
  if (question.label) return *question.label;
  if (question.answers.empty()) return -1;
  const auto found =
      std::find(question.choices.begin(), question.choices.end(), question.answers.front());
  return found == question.choices.end() ? -1 : static_cast<int>(found - question.choices.begin());
}

std::size_t best_choice(std::span<const double> scores) {
  return static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

MultipleChoiceSet make_multiple_choice(const std::string& role,
                                       const std::vector<Question>& questions,
                                       const Tokenizer& tokenizer, std::int64_t positions) {
  MultipleChoiceSet set;
  set.role = role;
  const bool asked = mostly_questions(questions);
  set.prompt = asked ? "\"Question: ...\\nAnswer:\", then the choice"
                     : "the text of the question, then the choice";
  for (const Question& question : questions) {
    const int right = right_choice(question);
    std::vector<ScoredRow> rows;
    bool cut = false, fits = right >= 0;
    MultipleChoiceSet::Item item;
    for (const std::string& choice : question.choices) {
      const std::string context = asked ? asked_text(question) : question.text;
      ScoredRow row = scored_row(encode_pair(tokenizer, context, following(context, choice)));
      const std::size_t before = row.tokens.size();
      fits = fits && fit_row(row, positions);
      cut = cut || row.tokens.size() < before;
      rows.push_back(std::move(row));
      item.characters.push_back(characters_of(choice));
      item.bytes.push_back(static_cast<double>(choice.size()));
    }
    if (!fits) {
      ++set.left_out;
      continue;
    }
    set.cut += cut ? 1 : 0;
    item.right = static_cast<std::size_t>(right);
    item.first_row = set.rows.size();
    set.rows.insert(set.rows.end(), rows.begin(), rows.end());
    set.items.push_back(std::move(item));
  }
  return set;
}

Measured measure_multiple_choice(MemoryModel& model, const MultipleChoiceSet& set, bool quiet) {
  const auto losses = row_losses(model, set.rows, set.role, quiet);
  double right = 0, right_per_character = 0, right_per_byte = 0, chance = 0;
  for (const MultipleChoiceSet::Item& item : set.items) {
    std::vector<double> sums;
    for (std::size_t c = 0; c < item.bytes.size(); ++c) {
      const std::vector<float>& row = losses[item.first_row + c];
      sums.push_back(-std::accumulate(row.begin(), row.end(), 0.0));
    }
    right += best_choice(sums) == item.right ? 1 : 0;
    right_per_character += best_choice(divided(sums, item.characters)) == item.right ? 1 : 0;
    right_per_byte += best_choice(divided(sums, item.bytes)) == item.right ? 1 : 0;
    chance += 1 / static_cast<double>(item.bytes.size());
  }
  const auto count = static_cast<std::int64_t>(set.items.size());
  Measured out;
  const auto add = [&](const char* key, const char* name, double sum, bool interval) {
    out.rows.push_back({.set = set.role,
                        .key = key,
                        .name = name,
                        .value = sum / static_cast<double>(count),
                        .interval = interval ? wilson_interval(sum, count) : std::nullopt,
                        .count = count});
  };
  add("accuracy", "accuracy, sum of log-likelihoods (acc)", right, true);
  add("accuracy_per_character", "accuracy, log-likelihood a character (acc_norm)",
      right_per_character, true);
  add("accuracy_per_byte", "accuracy, log-likelihood a byte (acc_bytes)", right_per_byte, true);
  add("random_guess", "accuracy of a random guess", chance, false);
  out.note = fmt::format("multiple choice by likelihood; prompt: {}", set.prompt);
  if (set.cut > 0) out.note += fmt::format("; {} contexts cut from the left", set.cut);
  if (set.left_out > 0) {
    out.note +=
        fmt::format("; {} questions left out (no right choice known, or too long)", set.left_out);
  }
  return out;
}

}  // namespace slotwise
