#include "data/questions.h"

#include "tests/data/packing.h"
#include "tests/data/temporary_folder.h"

namespace slotwise {
namespace {

TEST(Questions, ReadsPromptsQuestionsAndChoices) {
  const TemporaryFolder folder;
  const auto path = folder.write(
      "q.jsonl.gz",
      pack_gzip("{\"id\": \"p\", \"prompt\": \"where ?\", \"answers\": [\"x\"], \"half\": 1}\n"
                "{\"id\": 7, \"question\": \"Who?\", \"answers\": [\"I\", \"me\"], "
                "\"choices\": [\"you\", \"I\"], \"label\": 1, \"extra\": {}}\n"
                "{\"question\": \"How?\", \"answers\": [\"18\"], \"solution\": \"9*2\"}\n"));
  const auto questions = read_questions(path);
  ASSERT_EQ(questions.size(), 3u);
  EXPECT_TRUE(questions[0].is_prompt);
  EXPECT_EQ(questions[0].text, "where ?");
  EXPECT_EQ(questions[0].half, 1);
  EXPECT_FALSE(questions[1].is_prompt);
  EXPECT_EQ(questions[1].id, "7");
  EXPECT_EQ(questions[1].answers, (std::vector<std::string>{"I", "me"}));
  EXPECT_EQ(questions[1].choices, (std::vector<std::string>{"you", "I"}));
  EXPECT_EQ(questions[1].label, 1);
  EXPECT_FALSE(questions[1].half.has_value());
  EXPECT_EQ(questions[2].id, "3");
  EXPECT_EQ(questions[2].solution, "9*2");
}

TEST(Questions, BrokenRowsAreNamed) {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& row) {
    const auto path = folder.write("q.jsonl", row);
    return user_error_of([&] { read_questions(path); });
  };
  EXPECT_TRUE(contains(refusal("{\"answers\": [\"x\"]}"), "line 1: a question needs"));
  EXPECT_TRUE(contains(refusal("{\"question\": \"q\"}"), "\"answers\" is missing"));
  EXPECT_TRUE(contains(refusal("{\"question\": \"q\", \"answers\": []}"), "an empty list"));
  EXPECT_TRUE(contains(refusal("{\"question\": \"q\", \"answers\": [1]}"), "must hold texts"));
  for (const char* half : {"2", "-1", "0.5", "\"0\""}) {
    EXPECT_TRUE(contains(
        refusal(fmt::format("{{\"question\": \"q\", \"answers\": [\"x\"], \"half\": {}}}", half)),
        "from 0 to 1"));
  }
  EXPECT_TRUE(contains(refusal("{\"question\": \"q\", \"answers\": [\"x\"], "
                               "\"choices\": [\"x\", \"y\"], \"label\": 2}"),
                       "\"label\" must be an integer from 0 to 1"));
  EXPECT_TRUE(contains(refusal(""), "holds no questions"));
}

}  // namespace
}  // namespace slotwise
