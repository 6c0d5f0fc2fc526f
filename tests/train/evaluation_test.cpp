// The answers and scores of an Evaluator against prompts asked one by one.
#include "train/evaluation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/answer_metrics.h"
#include "data/tokenizer.h"
#include "layers/generation.h"
#include "tests/data/temporary_folder.h"
#include "tests/train/tiny_text_model.h"

namespace slotwise::testing {
namespace {

// Prompts of different lengths, the long ones first.
std::vector<Question> questions_with(std::vector<std::vector<std::string>> answers) {
  std::vector<Question> out;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    Question question;
    question.text = "the capital of land " + std::string(answers.size() - i, 'x');
    question.is_prompt = i % 2 == 0;
    question.answers = std::move(answers[i]);
    question.half = static_cast<int>(i % 2);
    out.push_back(question);
  }
  return out;
}

// Asked alone, whole, and cut at the first line break.
std::string answer_alone(TinyTextModel& tiny, const std::vector<std::int32_t>& prompt,
                         std::int64_t tokens) {
  GenerationOptions generation;
  generation.max_new_tokens = tokens;
  const std::string text =
      tiny.tokenizer->decode(generate(tiny.model->decoder(), {prompt}, generation, {})[0]);
  return text.substr(0, text.find('\n'));
}

TEST(Evaluation, AnswersEndAtALineBreakAndKeepTheirQuestions) {
  TinyTextModel tiny;
  tiny.favour("\n", 2.5F);
  EvaluationOptions options;
  options.batch = 5;
  options.max_new_tokens = 8;
  Evaluator evaluator(*tiny.tokenizer, options, 64);
  evaluator.add_questions("q", questions_with(std::vector<std::vector<std::string>>(12, {"a"})));
  const QuestionSet& set = evaluator.sets()[0];
  const auto answers = evaluator.answers(*tiny.model, set);
  ASSERT_EQ(answers.size(), set.prompts.size());
  std::size_t whole = 0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i], answer_alone(tiny, set.prompts[i], 8)) << i;
    GenerationOptions generation;
    generation.max_new_tokens = 8;
    const auto free = generate(tiny.model->decoder(), {set.prompts[i]}, generation, {})[0];
    whole += tiny.tokenizer->decode(free) == answers[i] ? 1 : 0;
  }
  EXPECT_GT(whole, 0u) << "every answer was cut";
  EXPECT_LT(whole, answers.size()) << "no answer was cut";
}

TEST(Evaluation, TheLongestFirstAnswerSetsTheLength) {
  TinyTextModel tiny;
  const auto length = [&](const EvaluationOptions& options,
                          std::vector<std::vector<std::string>> answers) {
    Evaluator evaluator(*tiny.tokenizer, options, 64);
    evaluator.add_questions("q", questions_with(std::move(answers)));
    return evaluator.sets()[0].max_new_tokens;
  };
  const auto tokens = [&](const std::string& text) {
    return static_cast<std::int64_t>(tiny.tokenizer->encode(text).size());
  };
  const std::string alias = "an alias that is much longer than any first answer";
  ASSERT_GT(tokens(" " + alias), tokens(" Oslo town"));
  EXPECT_EQ(length({}, {{"Oslo", alias}, {"Oslo town"}, {"x"}}), tokens(" Oslo town"));
  EvaluationOptions options;
  options.max_new_tokens = 3;
  EXPECT_EQ(length(options, {{"Oslo", alias}}), 3);
}

// A head with more rows than the tokenizer has tokens (padded to a round number, say).
TEST(Evaluation, APaddedHeadAnswersWithTokensOfTheTokenizer) {
  TinyTextModel tiny;
  ModelConfig config = tiny.model->config();
  config.decoder.vocab_size += 200;
  MemoryModel padded(config, 5, Device{});
  EvaluationOptions options;
  options.max_new_tokens = 8;
  Evaluator evaluator(*tiny.tokenizer, options, 64);
  evaluator.add_questions("q", questions_with(std::vector<std::vector<std::string>>(12, {"a"})));
  EXPECT_NO_THROW(evaluator.run(padded));
}

TEST(Evaluation, TextRowsBoundTheWindowsOfOneDocumentToo) {
  TinyTextModel tiny;
  const TemporaryFolder folder;
  {
    TokenShardWriter writer(folder / "text", tiny.tokenizer->vocabulary_size(), "hash");
    for (const std::size_t length : {101u, 11u, 11u}) {
      writer.append(std::vector<std::int32_t>(length, 7));
    }
    writer.finish();
  }
  const auto windows = [&](std::int64_t rows) {
    EvaluationOptions options;
    options.text_rows = rows;
    options.text_window = 10;
    Evaluator evaluator(*tiny.tokenizer, options, 64);
    evaluator.set_text(TokenShard(folder / "text"));
    return evaluator.text().size();
  };
  EXPECT_EQ(windows(0), 12u);
  EXPECT_EQ(windows(4), 4u);
  EXPECT_EQ(windows(11), 11u);
  const auto interval = [&](std::int64_t rows) {
    EvaluationOptions options{.text_rows = rows, .text_window = 10, .intervals = true};
    Evaluator evaluator(*tiny.tokenizer, options, 64);
    evaluator.set_text(TokenShard(folder / "text"));
    return evaluator.run(*tiny.model).text_interval;
  };
  EXPECT_FALSE(interval(10)) << "windows of one document say nothing of others";
  EXPECT_TRUE(interval(11));
}

TEST(Evaluation, HalvesAreOfTheMeasure) {
  TinyTextModel tiny;
  EvaluationOptions options;
  options.max_new_tokens = 6;
  std::vector<Question> questions = questions_with(std::vector<std::vector<std::string>>(8, {"a"}));
  {
    Evaluator asked(*tiny.tokenizer, options, 64);
    asked.add_questions("q", questions);
    const auto answers = asked.answers(*tiny.model, asked.sets()[0]);
    for (std::size_t i = 0; i < answers.size(); ++i) {
      // Half of what is said, and something else: an F1 between 0 and 1, and no exact match.
      questions[i].answers = {"nothing like it", answers[i] + (i < 3 ? "" : " zzz")};
    }
  }
  for (const AnswerMeasure measure : {AnswerMeasure::exact, AnswerMeasure::f1}) {
    options.measure = measure;
    Evaluator evaluator(*tiny.tokenizer, options, 64);
    evaluator.add_questions("q", questions);
    const auto answers = evaluator.answers(*tiny.model, evaluator.sets()[0]);
    double sum[2] = {0, 0}, other = 0;
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const AnswerScore score =
          best_score(answers[i], questions[i].answers, AnswerNormalisation::squad);
      const bool f1 = measure == AnswerMeasure::f1;
      sum[i % 2] += f1 ? score.f1 : score.exact;
      other += f1 ? score.exact : score.f1;
    }
    ASSERT_NE(sum[0] + sum[1], other) << "exact match and F1 must differ to be told apart";
    const Evaluator::Result result = evaluator.run(*tiny.model);
    const QuestionScores& scores = result.questions[0].second;
    EXPECT_NEAR(scores.half0, sum[0] / 4, 1e-12);
    EXPECT_NEAR(scores.half1, sum[1] / 4, 1e-12);
    EXPECT_NEAR(scores.of(measure), (sum[0] + sum[1]) / 8, 1e-12);
    EXPECT_EQ(result.json().at("measure"), key_of(measure));
    // Rows that mark no half, or one only, take turns.
    for (const std::optional<int> mark : {std::optional<int>(), std::optional<int>(1)}) {
      std::vector<Question> unmarked = questions;
      for (Question& each : unmarked) each.half = mark;
      Evaluator turns(*tiny.tokenizer, options, 64);
      turns.add_questions("q", unmarked);
      const QuestionScores same = turns.run(*tiny.model).questions[0].second;
      ASSERT_TRUE(same.has_halves);
      EXPECT_EQ(same.half0, scores.half0);
      EXPECT_EQ(same.half1, scores.half1);
    }
  }
}

}  // namespace
}  // namespace slotwise::testing
