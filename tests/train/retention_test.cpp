// Retention within a stream on a hand-made course of learning and forgetting.
#include "train/retention.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "core/files.h"
#include "data/tokenizer.h"
#include "tests/data/temporary_folder.h"
#include "train/retention_plot.h"

namespace slotwise {
namespace {

using nlohmann::json;

std::unique_ptr<Tokenizer> words() {
  return make_word_level({"<pad>", "a", "b"}, {.pad = 0});
}

FactStream stream_of(const Tokenizer& tokenizer, int facts, int facts_per_batch,
                     bool in_order = true) {
  std::vector<Fact> list;
  for (int i = 0; i < facts; ++i) list.push_back({fmt::format("person{}/city", i), {"a b"}});
  return FactStream(list, tokenizer,
                    {.seed = 3,
                     .facts_per_batch = facts_per_batch,
                     .wordings_per_fact = 1,
                     .in_order = in_order});
}

std::vector<Question> questions_with_ids(const std::vector<std::string>& ids) {
  std::vector<Question> out(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) out[i].id = ids[i];
  return out;
}

TEST(Retention, GroupsFollowTheFirstTeaching) {
  const auto tokenizer = words();
  const FactStream stream = stream_of(*tokenizer, 7, 2, false);  // a pass is 4 steps
  std::vector<std::string> ids;
  for (int i = 0; i < 7; ++i) ids.push_back(fmt::format("person{}/city/question{}", i, i % 3));
  const RetentionPlan plan = plan_retention(stream, 10, 3, questions_with_ids(ids), "new");
  ASSERT_EQ(plan.groups.size(), 2u);
  EXPECT_EQ(plan.groups[0].facts, 6);
  EXPECT_EQ(plan.groups[1].facts, 1);
  EXPECT_EQ(plan.groups[1].first_step, 3);
  EXPECT_EQ(plan.groups[1].last_step, 4);
  EXPECT_EQ(plan.asked_after, (std::vector<std::int64_t>{0, 3, 4, 10}));
  const std::vector<std::int64_t> last = stream.facts_of_batch(3);
  for (std::int64_t fact = 0; fact < 7; ++fact) {
    EXPECT_EQ(plan.group_of[static_cast<std::size_t>(fact)], fact == last.at(0) ? 1 : 0) << fact;
  }
}

TEST(Retention, FactsThatAreNeverTaughtAreAGroupOfTheirOwn) {
  const auto tokenizer = words();
  const RetentionPlan plan =
      plan_retention(stream_of(*tokenizer, 10, 1), 5, 2,
                     questions_with_ids({"person0/city", "person4/city/q", "person9/city/q/deep",
                                         "person1/work", "person10/city"}),
                     "new");
  ASSERT_EQ(plan.groups.size(), 4u);
  EXPECT_EQ(plan.taught(), 3);
  EXPECT_EQ(plan.groups[3].facts, 5);
  EXPECT_EQ(plan.asked_after, (std::vector<std::int64_t>{0, 2, 4, 5}));
  EXPECT_EQ(plan.group_of, (std::vector<std::int64_t>{0, 2, 3, -1, -1}));
  EXPECT_EQ(plan.groups[2].questions, 1);
}

TEST(Retention, QuestionsOfNoFactAreRefused) {
  const auto tokenizer = words();
  const FactStream stream = stream_of(*tokenizer, 3, 1);
  const std::string message = user_error_of([&] {
    plan_retention(stream, 3, 1, questions_with_ids({"1", "person0"}), "new");
  });
  EXPECT_TRUE(contains(message, "no question of 'new' belongs to a fact")) << message;
  EXPECT_TRUE(contains(message, "person0/city/1")) << message;
}

// Three facts, one a step, two questions of each; all of a fact is known once taught, and every
// later step loses the half of what is left.
RetentionMatrix forgetful_run(std::int64_t until) {
  const auto tokenizer = words();
  const auto questions =
      questions_with_ids({"person0/city/0", "person0/city/1", "person1/city/0", "person1/city/1",
                          "person2/city/0", "person2/city/1", "other"});
  RetentionMatrix matrix(plan_retention(stream_of(*tokenizer, 3, 1), 3, 1, questions, "new"), "new",
                         AnswerMeasure::f1);
  std::vector<double> scores(7, 0);
  scores[6] = 1;
  for (std::int64_t step = 0; step <= until; ++step) {
    for (std::size_t i = 0; i < 6; ++i) scores[i] /= 2;
    if (step > 0) {
      const auto fact = static_cast<std::size_t>(step - 1);
      scores[2 * fact] = 1;
      scores[2 * fact + 1] = 0.6;
    }
    EXPECT_TRUE(matrix.due(step));
    matrix.add(step, scores);
    EXPECT_FALSE(matrix.due(step));
  }
  return matrix;
}

TEST(Retention, MatrixAndMeansByHand) {
  const RetentionMatrix matrix = forgetful_run(3);
  using Row = RetentionMatrix::Row;
  ASSERT_EQ(matrix.rows().size(), 4u);
  EXPECT_EQ(matrix.rows()[0].scores, (Row{0.0, 0.0, 0.0}));
  EXPECT_EQ(matrix.rows()[1].scores, (Row{0.8, 0.0, 0.0}));
  EXPECT_EQ(matrix.rows()[2].scores, (Row{0.4, 0.8, 0.0}));
  EXPECT_EQ(matrix.rows()[3].scores, (Row{0.2, 0.4, 0.8}));
  EXPECT_FALSE(matrix.retention(0));
  EXPECT_FALSE(matrix.retention(1)) << "nothing was taught before";
  EXPECT_NEAR(*matrix.retention(2), 0.5, 1e-12);
  EXPECT_NEAR(*matrix.retention(3), (0.25 + 0.5) / 2, 1e-12);
  EXPECT_NEAR(*matrix.backward_transfer(3), (-0.6 - 0.4) / 2, 1e-12);
  const json result = matrix.json_result();
  EXPECT_NEAR(result.at("mean_retention").get<double>(), 0.375, 1e-12);
  EXPECT_NEAR(result.at("backward_transfer").get<double>(), -0.5, 1e-12);
  EXPECT_EQ(result.at("rows")[1].at("scores"), json({0.8, 0.0, 0.0}));
  EXPECT_EQ(result.at("measure"), "f1");
  const std::string text = matrix.text();
  EXPECT_TRUE(contains(text, "         3    20.0    40.0    80.0       37.5     -50.0\n")) << text;
  EXPECT_TRUE(contains(text, "1 questions of no fact left out")) << text;
}

TEST(Retention, GroupsThatNeverScoredAreLeftOutOfTheRatio) {
  const auto tokenizer = words();
  const auto questions = questions_with_ids({"person0/city/0", "person1/city/0"});
  // Nobody asks about the last fact.
  RetentionMatrix matrix(plan_retention(stream_of(*tokenizer, 3, 1), 3, 1, questions, "new"), "new",
                         AnswerMeasure::exact);
  for (const auto& [step, scores] : std::vector<std::pair<std::int64_t, std::vector<double>>>{
           {0, {0, 0}}, {1, {0, 0}}, {2, {1, 1}}, {3, {1, 0}}}) {
    matrix.add(step, scores);
  }
  EXPECT_NEAR(*matrix.retention(3), 0, 1e-12);
  EXPECT_NEAR(*matrix.backward_transfer(3), 0, 1e-12);  // +1 and -1
  EXPECT_FALSE(matrix.rows()[3].scores[2]);
  EXPECT_TRUE(matrix.json_result().at("rows")[3].at("scores")[2].is_null());
}

TEST(Retention, IsDrawn) {
  const TemporaryFolder folder;
  const json result = forgetful_run(3).json_result();
  if (!draw_retention(result, folder.path())) GTEST_SKIP() << "gnuplot is not installed";
  EXPECT_EQ(read_file(folder / "retention.png").substr(1, 3), "PNG");
  EXPECT_TRUE(contains(read_file(folder / "retention.svg"), "F1 on facts taught earlier"));
  EXPECT_TRUE(contains(read_file(folder / "retention.gp"), "\n1 3 40.000\n"));
}

TEST(Retention, RowsOfACheckpointGoOn) {
  const RetentionMatrix whole = forgetful_run(3);
  RetentionMatrix resumed = forgetful_run(0);
  const json two = json::parse(forgetful_run(2).rows_json().dump());
  resumed.load_rows(two);
  EXPECT_FALSE(resumed.due(2));
  EXPECT_TRUE(resumed.due(3));
  EXPECT_EQ(resumed.rows_json(), two);
  EXPECT_EQ(resumed.retention(2), whole.retention(2));
}

}  // namespace
}  // namespace slotwise
