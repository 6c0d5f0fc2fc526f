// Multiple choice against the formulas of lm-evaluation-harness written out in double precision.
#include "train/multiple_choice.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/train/tiny_text_model.h"
#include "tests/train/token_probabilities.h"
#include "train/prompt.h"

namespace slotwise::testing {
namespace {

Question choice_question(const std::string& text, std::vector<std::string> choices,
                         std::optional<int> label) {
  Question question;
  question.text = text;
  question.choices = std::move(choices);
  question.label = label;
  return question;
}

double value_of(const Measured& measured, const std::string& key) {
  for (const Measurement& each : measured.rows) {
    if (each.key == key) return each.value;
  }
  ADD_FAILURE() << "no " << key;
  return -1;
}

const std::vector<Question> kQuestions = {
    choice_question("the land", {"is a town", "of Oslo it", "the capital is the town of it"}, 2),
    choice_question("a town is", {"zqzq", "the capital of the land", "é, ü and ö", "it"}, 2),
    choice_question("it is", {"Oslo", "Oslo"}, 0),
    choice_question("what", {"the only one"}, 0),
    choice_question("the capital of", {"it", "the land of the town", "qqqqqqqqqq"}, 1),
};

// argmax of ll, of ll / len(choice) in characters and in bytes; the first of equals.
std::vector<double> reference_accuracies(TinyTextModel& tiny) {
  std::vector<double> right(3, 0);
  for (const Question& question : kQuestions) {
    std::vector<std::vector<double>> scores(3);
    for (const std::string& choice : question.choices) {
      std::vector<std::int32_t> row = tiny.encoded(question.text);
      const std::size_t first = row.size();
      for (const std::int32_t token : tiny.tokenizer->encode(" " + choice)) row.push_back(token);
      const double sum = log_likelihood(*tiny.model, row, first);
      const double characters = choice == "é, ü and ö" ? 10 : static_cast<double>(choice.size());
      scores[0].push_back(sum);
      scores[1].push_back(sum / characters);
      scores[2].push_back(sum / static_cast<double>(choice.size()));
    }
    for (std::size_t k = 0; k < 3; ++k) {
      const auto best = std::max_element(scores[k].begin(), scores[k].end()) - scores[k].begin();
      right[k] += best == *question.label ? 1 : 0;
    }
  }
  for (double& each : right) each /= static_cast<double>(kQuestions.size());
  return right;
}

TEST(MultipleChoice, AccuraciesAreThoseOfTheFormula) {
  bool differ = false;
  for (const std::uint64_t seed : {1, 2, 3, 4, 5, 6, 7, 8}) {
    TinyTextModel tiny(seed);
    const MultipleChoiceSet set = make_multiple_choice("set", kQuestions, *tiny.tokenizer, 64);
    const Measured measured = measure_multiple_choice(*tiny.model, set, true);
    const std::vector<double> right = reference_accuracies(tiny);
    EXPECT_DOUBLE_EQ(value_of(measured, "accuracy"), right[0]) << seed;
    EXPECT_DOUBLE_EQ(value_of(measured, "accuracy_per_character"), right[1]) << seed;
    EXPECT_DOUBLE_EQ(value_of(measured, "accuracy_per_byte"), right[2]) << seed;
    EXPECT_NEAR(value_of(measured, "random_guess"), (1. / 3 + 1. / 4 + 1. / 2 + 1 + 1. / 3) / 5,
                1e-12);
    EXPECT_EQ(measured.rows[0].count, 5);
    EXPECT_EQ(measured.rows[0].interval, wilson_interval(5 * right[0], 5));
    differ = differ || right[0] != right[1];
  }
  EXPECT_TRUE(differ) << "the two normalisations never differed, so nothing tells them apart";
}

TEST(MultipleChoice, LogLikelihoodsAreThoseOfEachRowAlone) {
  TinyTextModel tiny;
  const MultipleChoiceSet set = make_multiple_choice("set", kQuestions, *tiny.tokenizer, 64);
  const auto losses = row_losses(*tiny.model, set.rows, "set", true);
  for (std::size_t i = 0; i < set.rows.size(); ++i) {
    double sum = 0;
    for (const float loss : losses[i]) sum -= static_cast<double>(loss);
    const double reference = log_likelihood(*tiny.model, set.rows[i].tokens, set.rows[i].first);
    EXPECT_NEAR(sum, reference, 1e-4 * std::abs(reference)) << i;
  }
}

TEST(MultipleChoice, TiesGoToTheFirst) {
  EXPECT_EQ(best_choice(std::vector<double>{-3, -1, -1, -2}), 1u);
  EXPECT_EQ(best_choice(std::vector<double>{-1}), 0u);
  EXPECT_EQ(best_choice(std::vector<double>{-2, -2}), 0u);
}

TEST(MultipleChoice, TheRightChoiceIsTheLabelOrTheFirstAnswer) {
  Question question = choice_question("x", {"a", "b", "c"}, std::nullopt);
  EXPECT_EQ(right_choice(question), -1);
  question.answers = {"c", "a"};
  EXPECT_EQ(right_choice(question), 2);
  question.label = 1;
  EXPECT_EQ(right_choice(question), 1);
  question.label.reset();
  question.answers = {"C"};
  EXPECT_EQ(right_choice(question), -1);
}

TEST(MultipleChoice, WhatIsTooLongIsCutFromTheLeftOrLeftOut) {
  TinyTextModel tiny;
  const std::string many = "x y x y x y x y x y x y x y";
  std::vector<Question> questions = kQuestions;
  questions.push_back(choice_question(many, {"Oslo", "it is"}, 1));          // cut
  questions.push_back(choice_question("it", {"Oslo", many}, 1));             // no room
  questions.push_back(choice_question("it", {"Oslo", "is"}, std::nullopt));  // nothing right
  const std::int64_t positions = 20;
  const MultipleChoiceSet set = make_multiple_choice("s", questions, *tiny.tokenizer, positions);
  ASSERT_GT(tiny.tokenizer->encode(many).size(), static_cast<std::size_t>(positions));
  EXPECT_EQ(set.items.size(), 6u);
  EXPECT_EQ(set.cut, 1);
  EXPECT_EQ(set.left_out, 2);
  const ScoredRow& row = set.rows.back();  // "... x y it is"
  const auto ending = tiny.tokenizer->encode(" it is");
  EXPECT_EQ(row.tokens.size(), static_cast<std::size_t>(positions) + 1);
  EXPECT_TRUE(std::equal(ending.begin(), ending.end(),
                         row.tokens.begin() + static_cast<std::ptrdiff_t>(row.first)));
  EXPECT_EQ(row.tokens.size() - row.first, ending.size());
  const Measured measured = measure_multiple_choice(*tiny.model, set, true);
  EXPECT_NE(measured.note.find("1 contexts cut from the left"), std::string::npos);
  EXPECT_NE(measured.note.find("2 questions left out"), std::string::npos);
}

TEST(MultipleChoice, QuestionsAreAskedAndTextsContinued) {
  TinyTextModel tiny;
  const auto text_of = [&](const std::vector<Question>& questions) {
    const auto set = make_multiple_choice("s", questions, *tiny.tokenizer, 64);
    return tiny.tokenizer->decode(set.rows[0].tokens);
  };
  EXPECT_EQ(text_of({choice_question("it is", {"a town"}, 0)}), "it is a town");
  EXPECT_EQ(text_of({choice_question("it is ", {"a town"}, 0)}), "it is a town");
  EXPECT_EQ(text_of({choice_question("what is it?", {"a town"}, 0)}),
            "Question: what is it?\nAnswer: a town");
  Question prompt = choice_question("is it?", {"a town"}, 0);
  prompt.is_prompt = true;
  EXPECT_EQ(text_of({prompt}), "is it? a town");
}

TEST(MultipleChoice, NothingToMeasureGivesNoNumberAndNoCrash) {
  TinyTextModel tiny;
  const auto set = make_multiple_choice("s", {choice_question("x", {"a", "b"}, std::nullopt)},
                                        *tiny.tokenizer, 64);
  const Measured measured = measure_multiple_choice(*tiny.model, set, true);
  EXPECT_EQ(measured.rows[0].count, 0);
  EXPECT_FALSE(measured.rows[0].interval);
  EXPECT_FALSE(has_choices({}));
}

}  // namespace
}  // namespace slotwise::testing
