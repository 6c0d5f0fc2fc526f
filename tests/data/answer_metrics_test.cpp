// The scores of answer_metrics.json, which make_metrics_fixture.py wrote, must come out to the bit.
#include "data/answer_metrics.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"

namespace slotwise {
namespace {

TEST(AnswerMetrics, EqualTheOfficialScripts) {
  const auto rows = nlohmann::json::parse(read_file("tests/data/fixtures/answer_metrics.json"));
  ASSERT_GE(rows.size(), 80u);
  for (const auto& row : rows) {
    const auto prediction = row["prediction"].get<std::string>();
    const auto answers = row["answers"].get<std::vector<std::string>>();
    for (const auto& [name, normalisation] :
         {std::pair{"squad", AnswerNormalisation::squad},
          std::pair{"trivia_qa", AnswerNormalisation::trivia_qa}}) {
      const auto& expected = row[name];
      EXPECT_EQ(normalise_answer(prediction, normalisation),
                expected["normalised"].get<std::string>())
          << name << ": " << prediction;
      const AnswerScore score = best_score(prediction, answers, normalisation);
      EXPECT_EQ(score.exact, expected["exact"].get<double>()) << name << ": " << prediction;
      EXPECT_EQ(score.f1, expected["f1"].get<double>()) << name << ": " << prediction;
    }
  }
}

TEST(AnswerMetrics, TheTwoNormalisationsDiffer) {
  EXPECT_EQ(normalise_answer("Spider-Man", AnswerNormalisation::squad), "spiderman");
  EXPECT_EQ(normalise_answer("Spider-Man", AnswerNormalisation::trivia_qa), "spider man");
}

TEST(AnswerMetrics, BrokenUtf8IsScoredNotRefused) {
  EXPECT_EQ(normalise_answer("Paris \xC3", AnswerNormalisation::squad), "paris \xEF\xBF\xBD");
  EXPECT_EQ(best_score("\xFFParis", {"Paris"}, AnswerNormalisation::squad).exact, 0.0);
}

TEST(AnswerMetrics, MaximaAreTakenForEachScoreByItself) {
  const AnswerScore score =
      best_score("red green", {"blue", "green", "red"}, AnswerNormalisation::squad);
  EXPECT_EQ(score.exact, 0.0);
  EXPECT_DOUBLE_EQ(score.f1, 2.0 / 3.0);
  EXPECT_THROW(best_score("red", std::vector<std::string>{}, AnswerNormalisation::squad), Error);
}

}  // namespace
}  // namespace slotwise
