// KL from the base against both models' probabilities of every row alone, in double precision.
#include "train/kl_from_base.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/train/tiny_text_model.h"
#include "tests/train/token_probabilities.h"

namespace slotwise::testing {
namespace {

// Of each predicted token of a row.
std::vector<double> reference(MemoryModel& base, MemoryModel& finetuned,
                              const std::vector<std::int32_t>& row) {
  const auto p = log_probabilities(base, row), q = log_probabilities(finetuned, row);
  std::vector<double> out;
  for (std::size_t t = 0; t < p.size(); ++t) {
    double sum = 0;
    for (std::size_t v = 0; v < p[t].size(); ++v) sum += std::exp(p[t][v]) * (p[t][v] - q[t][v]);
    out.push_back(sum);
  }
  return out;
}

Question question_of(const std::string& text, const std::string& answer) {
  Question question;
  question.text = text;
  question.answers = {answer};
  return question;
}

TEST(KlFromBase, OfHandMadeLogits) {
  const std::vector<float> even = {1, 1, 1, 1};
  // p = 1/4 each; q = 1/10, 2/10, 3/10, 4/10.
  const std::vector<float> uneven = {std::log(1.F), std::log(2.F), std::log(3.F), std::log(4.F)};
  const double expected =
      std::log(0.25) - (std::log(0.1) + std::log(0.2) + std::log(0.3) + std::log(0.4)) / 4;
  EXPECT_NEAR(kl_divergence(even, uneven), expected, 1e-7);
  EXPECT_NE(kl_divergence(uneven, even), kl_divergence(even, uneven)) << "it has a direction";
  EXPECT_EQ(kl_divergence(uneven, uneven), 0);
  // A constant added to all logits changes nothing, far apart ones do not overflow.
  EXPECT_NEAR(kl_divergence(std::vector<float>{501, 501, 501, 501}, uneven), expected, 1e-7);
  EXPECT_NEAR(kl_divergence(std::vector<float>{900, -900}, std::vector<float>{-900, 900}), 1800,
              1e-9);
  EXPECT_THROW(kl_divergence(even, std::vector<float>{1}), Error);
}

TEST(KlFromBase, IsTheMeanOverPredictedTokens) {
  TinyTextModel base(1), finetuned(2);
  QuestionSet set{"new", {}, {}, 1};
  set.questions = {question_of("what is it", "Oslo"),
                   question_of("the land is what", "a town of it"), question_of("a", "b")};
  const KlSet rows = kl_questions(set, *base.tokenizer, 64);
  const Measured measured = measure_kl(*base.model, *finetuned.model, rows, true);
  double prompt = 0, answer = 0, prompt_tokens = 0, answer_tokens = 0;
  for (const Question& question : set.questions) {
    auto row = base.encoded("Question: " + question.text + "\nAnswer:");
    const std::size_t first = row.size();
    for (const auto token : base.tokenizer->encode(" " + question.answers[0])) row.push_back(token);
    const auto each = reference(*base.model, *finetuned.model, row);
    for (std::size_t t = 0; t < each.size(); ++t) {
      (t + 1 < first ? prompt : answer) += each[t];
      (t + 1 < first ? prompt_tokens : answer_tokens) += 1;
    }
  }
  ASSERT_EQ(measured.rows.size(), 3u);
  const double all = (prompt + answer) / (prompt_tokens + answer_tokens);
  EXPECT_NEAR(measured.rows[0].value, all, 1e-4 * all);
  EXPECT_NEAR(measured.rows[1].value, prompt / prompt_tokens, 1e-4 * all);
  EXPECT_NEAR(measured.rows[2].value, answer / answer_tokens, 1e-4 * all);
  EXPECT_EQ(measured.rows[0].count, static_cast<std::int64_t>(prompt_tokens + answer_tokens));
  EXPECT_EQ(measured.rows[2].count, static_cast<std::int64_t>(answer_tokens));
  ASSERT_TRUE(measured.rows[0].interval);
  EXPECT_LT(measured.rows[0].interval->low, measured.rows[0].interval->high);
}

TEST(KlFromBase, OfTheSameModelIsZero) {
  TinyTextModel base(1), same(1);
  const KlSet text = kl_text("text",
                             {base.tokenizer->encode("the capital of the land"),
                              base.tokenizer->encode("it is a town"),
                              {3}},
                             {0, 1, 2});
  EXPECT_EQ(text.rows.size(), 2u) << "a window of one token predicts nothing";
  const Measured measured = measure_kl(*base.model, *same.model, text, true);
  ASSERT_EQ(measured.rows.size(), 1u);
  EXPECT_EQ(measured.rows[0].value, 0);
  TinyTextModel other(2);
  EXPECT_GT(measure_kl(*base.model, *other.model, text, true).rows[0].value, 0.01);
}

TEST(KlFromBase, WindowsOfOneDocumentAreResampledTogether) {
  TinyTextModel base(1), other(2);
  const TokenRows windows = {base.tokenizer->encode("the capital of the land"),
                             base.tokenizer->encode("it is a town")};
  const auto measured = [&](const std::vector<std::int64_t>& documents) {
    return measure_kl(*base.model, *other.model, kl_text("text", windows, documents), true).rows[0];
  };
  EXPECT_TRUE(measured({0, 1}).interval);
  EXPECT_FALSE(measured({0, 0}).interval) << "one document has no spread";
  EXPECT_NEAR(measured({0, 1}).value, measured({0, 0}).value, 1e-12);
}

TEST(KlFromBase, LongPromptsAreCutFromTheLeft) {
  TinyTextModel base(1);
  std::string many;
  for (int i = 0; i < 40; ++i) many += "x y ";
  QuestionSet set{"new", {question_of(many, "Oslo"), question_of("it", many)}, {}, 1};
  const KlSet rows = kl_questions(set, *base.tokenizer, 40);
  EXPECT_EQ(rows.cut, 1);
  EXPECT_EQ(rows.left_out, 1);
  ASSERT_EQ(rows.rows.size(), 1u);
  EXPECT_EQ(rows.rows[0].tokens.size(), 41u);
}

}  // namespace
}  // namespace slotwise::testing
