#include "data/question_frames.h"

#include <gtest/gtest.h>

#include <set>

namespace slotwise {
namespace {

TEST(QuestionFrames, PlainQuestionsHaveNoMarkAndALowerCaseQuestionWord) {
  EXPECT_EQ(plain_question("  Which   city is\tthe capital? "), "which city is the capital");
  EXPECT_EQ(plain_question("who wrote hamlet"), "who wrote hamlet");
  EXPECT_EQ(plain_question("Name the river ."), "Name the river");
  EXPECT_EQ(plain_question("??"), "");
}

TEST(QuestionFrames, StatementsPutTheAnswerInTheQuestionWordsPlace) {
  EXPECT_EQ(as_statement("who wrote hamlet", "Shakespeare"), "Shakespeare wrote hamlet");
  EXPECT_EQ(as_statement("what is the capital of france", "Paris"),
            "Paris is the capital of france");
  EXPECT_EQ(as_statement("which city was founded by Raffles", "Singapore"),
            "Singapore is the city that was founded by Raffles");
  EXPECT_EQ(as_statement("when did michigan join the big ten", "1950"),
            "michigan join the big ten in 1950");
  EXPECT_EQ(as_statement("where are the games", "Rome"), "the games in Rome");
  EXPECT_EQ(as_statement("how many towns are in connecticut", "169"),
            "169 towns are in connecticut");
  EXPECT_EQ(as_statement("how long is the film", "135 minutes"), "long is the film: 135 minutes");
  EXPECT_EQ(as_statement("The seas are on which continent", "Antarctica"),
            "The seas are on Antarctica");
  EXPECT_EQ(as_statement("in which year did it end", "1918"), "in 1918 did it end");
  EXPECT_EQ(as_statement("name the river", "Nile"), "name the river: Nile");
}

TEST(QuestionFrames, ReorderedAndShortened) {
  EXPECT_EQ(reordered("what is the capital of france"), "of france, what is the capital");
  EXPECT_EQ(reordered("who wrote hamlet then"), "hamlet then, who wrote");
  EXPECT_EQ(reordered("who knows"), "who knows");
  EXPECT_EQ(shortened("what is the capital of France"), "capital France");
  EXPECT_EQ(shortened("who is it"), "who is it");
  EXPECT_EQ(content_key("What is France's capital?"), "capital france");
  EXPECT_EQ(content_key("the capital of France's"), "capital france");
}

TEST(QuestionFrames, EveryFrameHoldsQuestionAndAnswerInItsOwnWords) {
  const std::string question = "what is the capital of france", answer = "Paris";
  ASSERT_GE(question_frame_names().size(), 9u);
  ASSERT_EQ(test_frame() + 1, question_frame_names().size());
  std::set<std::string> all;
  for (std::size_t frame = 0; frame <= test_frame(); ++frame) {
    const std::string text = frame_question(frame, question, answer);
    EXPECT_NE(text.find("Paris"), text.npos) << text;
    EXPECT_NE(text.find("capital"), text.npos) << text;
    EXPECT_TRUE(all.insert(text).second) << text;
    // What tests ask with stands in no other wording.
    const bool asked = text.find(test_prompt(question)) != text.npos;
    EXPECT_EQ(asked, frame == test_frame()) << text;
  }
  EXPECT_EQ(frame_question(test_frame(), question, answer), test_prompt(question) + " Paris");
}

}  // namespace
}  // namespace slotwise
