// Multiple choice by likelihood, as lm-evaluation-harness scores HellaSwag, ARC and the like: the
// model is not asked to answer; each choice is put behind the context, and the one whose tokens are
// the likeliest is taken as its choice. Three ways to compare choices of unequal length: the sum of
// the log-likelihoods ("acc"), that sum divided by the characters of the choice ("acc_norm"), and
// divided by its bytes in UTF-8 ("acc_bytes"). Ties go to the first choice.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "data/questions.h"
#include "data/tokenizer.h"
#include "memory/memory_model.h"
#include "train/measurement.h"
#include "train/row_losses.h"

namespace slotwise {

// Each row has choices.
bool has_choices(const std::vector<Question>& questions);
// `label`, or the place of the first answer among the choices; -1 where neither tells.
int right_choice(const Question& question);
// The highest score; the lowest index of equals.
std::size_t best_choice(std::span<const double> scores);

struct MultipleChoiceSet {
  struct Item {
    std::size_t first_row = 0;  // of its choices' rows, which follow one another
    std::size_t right = 0;
    std::vector<double> characters, bytes;  // of each choice
  };
  std::string role;
  std::string prompt;  // how the context is made, for people
  std::vector<Item> items;
  std::vector<ScoredRow> rows;
  std::int64_t left_out = 0;  // no right choice known, or a choice longer than the model takes
  std::int64_t cut = 0;       // contexts that were cut from the left
};

// A `prompt` is the context itself. A `question` is, too, in a set to be continued (HellaSwag);
// where most end with a question mark they are asked as "Question: ...\nAnswer:".
MultipleChoiceSet make_multiple_choice(const std::string& role,
                                       const std::vector<Question>& questions,
                                       const Tokenizer& tokenizer, std::int64_t positions);

// "accuracy", "accuracy_per_character", "accuracy_per_byte" with Wilson intervals, "random_guess".
Measured measure_multiple_choice(MemoryModel& model, const MultipleChoiceSet& set, bool quiet);

}  // namespace slotwise
