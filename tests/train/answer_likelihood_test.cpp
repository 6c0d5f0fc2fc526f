// NLL of answers against every question alone, in double precision.
#include "train/answer_likelihood.h"

#include <gtest/gtest.h>

#include "tests/train/tiny_text_model.h"
#include "tests/train/token_probabilities.h"

namespace slotwise::testing {
namespace {

Question worked(const std::string& text, const std::string& solution, const std::string& answer) {
  Question question;
  question.text = text;
  question.solution = solution;
  question.answers = {answer, "an alias that is not measured"};
  return question;
}

const std::vector<Question> kQuestions = {
    worked("what is it", "it is the town of Oslo.", "18"),
    worked("the land", "a", "the capital"),
    worked("a town of the land is what", "Oslo is a town. It is the capital of it.", "7"),
};

// NLL and tokens of the pieces of one question: the solution with its mark, the answer.
struct Pieces {
  double solution = 0, answer = 0;
  std::size_t solution_tokens = 0, answer_tokens = 0;
};
Pieces pieces_of(TinyTextModel& tiny, const Question& question, bool with_solution) {
  std::vector<std::int32_t> row = tiny.encoded("");
  const auto add = [&](const std::string& text) {
    const auto tokens = tiny.tokenizer->encode(text);
    row.insert(row.end(), tokens.begin(), tokens.end());
    return row.size();
  };
  const std::size_t prompt = add("Question: " + question.text + "\nAnswer:");
  const std::size_t solution = with_solution ? add(" " + question.solution + "\n####") : prompt;
  const std::size_t end = add(" " + question.answers[0]);
  const double all = -log_likelihood(*tiny.model, row, prompt);
  const double answer = -log_likelihood(*tiny.model, row, solution);
  return {all - answer, answer, solution - prompt, end - solution};
}

void expect_measured(TinyTextModel& tiny, std::vector<Question> questions, bool with_solution) {
  if (!with_solution) {
    for (Question& question : questions) question.solution = "";
  }
  const LikelihoodSet set = make_likelihood("set", questions, *tiny.tokenizer, 128);
  const Measured measured = measure_likelihood(*tiny.model, set, true);
  Pieces sum;
  double solution_mean = 0, answer_mean = 0;
  for (const Question& question : questions) {
    const Pieces each = pieces_of(tiny, question, with_solution);
    sum.solution += each.solution;
    sum.answer += each.answer;
    sum.solution_tokens += each.solution_tokens;
    sum.answer_tokens += each.answer_tokens;
    solution_mean += each.solution / static_cast<double>(each.solution_tokens) / 3;
    answer_mean += each.answer / static_cast<double>(each.answer_tokens) / 3;
  }
  const std::size_t at = with_solution ? 2 : 0;
  ASSERT_EQ(measured.rows.size(), at + 2);
  const auto expect = [&](std::size_t row, const std::string& key, double value,
                          std::size_t count) {
    EXPECT_EQ(measured.rows[row].key, key);
    EXPECT_NEAR(measured.rows[row].value, value, 1e-5 * value) << key;
    EXPECT_EQ(measured.rows[row].count, static_cast<std::int64_t>(count)) << key;
    ASSERT_TRUE(measured.rows[row].interval) << key;
    EXPECT_LE(measured.rows[row].interval->low, value + 1e-5) << key;
    EXPECT_GE(measured.rows[row].interval->high, value - 1e-5) << key;
  };
  if (with_solution) {
    expect(0, "solution_nll_per_token", sum.solution / static_cast<double>(sum.solution_tokens),
           sum.solution_tokens);
    expect(1, "solution_nll_per_question", solution_mean, 3);
  }
  expect(at, "answer_nll_per_token", sum.answer / static_cast<double>(sum.answer_tokens),
         sum.answer_tokens);
  expect(at + 1, "answer_nll_per_question", answer_mean, 3);
}

TEST(AnswerLikelihood, SolutionAndAnswerAreMeasuredApart) {
  TinyTextModel tiny(5, 128);
  expect_measured(tiny, kQuestions, true);
}

TEST(AnswerLikelihood, WithoutSolutionsTheFirstAnswerFollowsThePrompt) {
  TinyTextModel tiny(6, 128);
  expect_measured(tiny, kQuestions, false);
}

TEST(AnswerLikelihood, LongPromptsAreCutAndLongSolutionsLeftOut) {
  TinyTextModel tiny;
  std::string many;
  for (int i = 0; i < 40; ++i) many += "x y ";
  const std::vector<Question> questions = {worked("it", "is", "2"), worked(many, "is", "2"),
                                           worked("it", many + "z", "2")};
  const LikelihoodSet set = make_likelihood("set", questions, *tiny.tokenizer, 40);
  EXPECT_EQ(set.rows.size(), 2u);
  EXPECT_EQ(set.cut, 1);
  EXPECT_EQ(set.left_out, 1);
  EXPECT_EQ(set.rows[1].tokens.size(), 41u);
  const Measured measured = measure_likelihood(*tiny.model, set, true);
  EXPECT_NE(measured.note.find("1 prompts cut from the left; 1 questions too long"),
            std::string::npos);
}

TEST(AnswerLikelihood, OneQuestionHasNoInterval) {
  TinyTextModel tiny;
  const LikelihoodSet set = make_likelihood("set", {worked("it", "is", "2")}, *tiny.tokenizer, 64);
  for (const Measurement& each : measure_likelihood(*tiny.model, set, true).rows) {
    EXPECT_FALSE(each.interval);
    EXPECT_GT(each.value, 0);
  }
}

}  // namespace
}  // namespace slotwise::testing
