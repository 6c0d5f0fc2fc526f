#include "data/question_pairs.h"

#include "tests/data/temporary_folder.h"

namespace slotwise {
namespace {

std::string row(const std::string& question, const std::string& answer) {
  return fmt::format("{{\"question\": \"{}\", \"answers\": [\"{}\"]}}\n", question, answer);
}

std::string many(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += row(fmt::format("who first crossed river number{}", i), fmt::format("person{}", i));
  }
  return text;
}

TEST(QuestionPairs, LeavesOutWhatIsLongGivenAwayOrAskedBefore) {
  const TemporaryFolder folder;
  const auto file = folder.write(
      "q.jsonl", row("who wrote the play hamlet?", "Shakespeare") +
                     row("who was it that wrote hamlet the play", "Bacon") +  // the same words
                     row("who wrote", "nobody") +                             // too short
                     row("what colour is the white house now", "White") +     // holds its answer
                     row("what is the longest answer here", "one two three four five") +
                     row("where is the tower of london", "London"));
  std::set<std::string> taken;
  const PairFilter filter{.least_question_words = 3, .most_question_words = 10};
  const auto pairs = choose_pairs(file, filter, 1, 5, "test", taken);
  ASSERT_EQ(pairs.size(), 1u);
  // Whichever of the two hamlets comes first, the other is the same question.
  EXPECT_TRUE(contains(user_error_of([&] {
                         std::set<std::string> fresh;
                         choose_pairs(file, filter, 2, 5, "test", fresh);
                       }),
                       "1 questions with short answers, 2 are wanted"));
}

TEST(QuestionPairs, SeedDecidesTheOrderAndTakenOnesAreSpared) {
  const TemporaryFolder folder;
  const auto file = folder.write("q.jsonl", many(40));
  const auto ids = [&](std::uint64_t seed, std::set<std::string> taken) {
    std::vector<std::string> out;
    for (const auto& pair : choose_pairs(file, {}, 20, seed, "test", taken)) out.push_back(pair.id);
    return out;
  };
  EXPECT_EQ(ids(1, {}), ids(1, {}));
  EXPECT_NE(ids(1, {}), ids(2, {}));
  std::set<std::string> taken;
  const auto first = choose_pairs(file, {}, 20, 1, "test", taken);
  EXPECT_EQ(taken.size(), 20u);
  const auto second = choose_pairs(file, {}, 20, 9, "other", taken);
  std::set<std::string> different;
  for (const auto& pairs : {first, second}) {
    for (const auto& pair : pairs) different.insert(pair.id);
  }
  EXPECT_EQ(different.size(), 40u);
}

}  // namespace
}  // namespace slotwise
