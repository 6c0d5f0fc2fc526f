// Training: the vocabulary and merges of Hugging Face's trainer on the same text.
#include <algorithm>

#include "tests/data/tokenizer_test_support.h"

namespace slotwise {
namespace {

using testing::tokenizer_fixture;

std::unique_ptr<Tokenizer> train_on(const std::string& text, const BpeTraining& settings) {
  BpeTrainer trainer;
  trainer.add(text);
  return trainer.train(settings);
}

const BpeTraining kFixtureSettings = {
    .vocabulary_size = 700, .min_frequency = 2, .special_tokens = {"<|endoftext|>", "<pad>"}};

TEST(BpeTrainer, EqualsReference) {
  const auto trained =
      train_on(read_compressed_file(tokenizer_fixture("training_text.txt")), kFixtureSettings);
  const auto ours = parse_json(trained->to_json(), "trained");
  const auto reference =
      parse_json(read_compressed_file(tokenizer_fixture("small_bpe.json")), "small_bpe.json");
  EXPECT_EQ(ours["model"]["vocab"], reference["model"]["vocab"]);
  const auto& expected = reference["model"]["merges"];
  const auto& merges = ours["model"]["merges"];
  ASSERT_EQ(merges.size(), expected.size());
  for (std::size_t i = 0; i < merges.size(); ++i) {
    EXPECT_EQ(merges[i].get<std::string>(),
              expected[i][0].get<std::string>() + " " + expected[i][1].get<std::string>())
        << "merge " << i;
  }
  testing::expect_same_encodings(*trained, "small_bpe_encodings.json");
  EXPECT_EQ(trained->special(), (SpecialTokens{.pad = 1, .bos = 0, .eos = 0}));
}

TEST(BpeTrainer, TextMayComeInPieces) {
  const std::string text = read_compressed_file(tokenizer_fixture("training_text.txt"));
  BpeTrainer in_lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find("\nThe", begin + 1), text.size());
    in_lines.add(std::string_view(text).substr(begin, end - begin));
    begin = end;
  }
  EXPECT_EQ(in_lines.train(kFixtureSettings)->hash(), train_on(text, kFixtureSettings)->hash());
}

// Words: "aba", " aba", " abab". "ab" is there 4 times; then " ab" and "aba" twice each, and the
// space has the smaller id; then every pair is there once.
TEST(BpeTrainer, CountsAndTiesByHand) {
  const auto tokenizer = train_on("aba aba abab", {.vocabulary_size = 300});
  const auto merges = parse_json(tokenizer->to_json(), "trained")["model"]["merges"];
  EXPECT_EQ(merges, (nlohmann::json{"a b", "\u0120 ab"}));
  EXPECT_EQ(tokenizer->token_text(257), "ab");
  EXPECT_EQ(tokenizer->token_text(258), "\u0120ab");
}

TEST(BpeTrainer, StopsAtMinFrequencyAndAtVocabularySize) {
  EXPECT_EQ(train_on("abc", {.vocabulary_size = 1000, .min_frequency = 2})->vocabulary_size(), 257);
  EXPECT_EQ(train_on("abc", {.vocabulary_size = 1000, .min_frequency = 1})->vocabulary_size(), 259);
  EXPECT_EQ(train_on("abab abab", {.vocabulary_size = 258})->vocabulary_size(), 258);
  EXPECT_EQ(train_on("ab", {.vocabulary_size = 256, .special_tokens = {}})->vocabulary_size(), 256);
}

TEST(BpeTrainer, AnyTextCanBeEncodedAfterwards) {
  const auto tokenizer = train_on("plain words only", {.vocabulary_size = 260});
  const std::string text = "\u65e5\u672c \x01\n\U0001f600 caf\u00e9";
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
}

TEST(BpeTrainer, BadInputIsAUserError) {
  BpeTrainer trainer;
  testing::expect_user_error([&] { trainer.train({.vocabulary_size = 300}); }, {"no text"});
  testing::expect_user_error([&] { trainer.add("abc\xff"); }, {"byte offset 3"});
  trainer.add("abc");
  testing::expect_user_error([&] { trainer.train({.vocabulary_size = 256}); }, {"256", "257"});
  testing::expect_user_error(
      [&] {
        trainer.train({.vocabulary_size = 300, .special_tokens = {"<x>", "<x>"}});
      },
      {"<x>"});
  testing::expect_user_error(
      [&] { trainer.train({.vocabulary_size = 300, .special_tokens = {""}}); }, {"empty"});
}

}  // namespace
}  // namespace slotwise
