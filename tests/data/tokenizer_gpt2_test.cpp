// GPT-2's published files, where they are at hand: ids equal Hugging Face's on tricky texts.
#include <cstdlib>

#include "tests/data/tokenizer_test_support.h"

namespace slotwise {
namespace {

using testing::expect_same_encodings;

std::unique_ptr<Tokenizer> published_gpt2() {
  const char* folder = std::getenv("SLOTWISE_DATA_DIR");
  if (folder == nullptr) return nullptr;
  const std::filesystem::path files = std::filesystem::path(folder) / "tokenizer";
  return load_gpt2(files / "gpt2_encoder.json.gz", files / "gpt2_vocab.bpe.gz");
}

TEST(TokenizerGpt2, EqualsReferenceWithPublishedFiles) {
  const auto tokenizer = published_gpt2();
  if (!tokenizer) GTEST_SKIP() << "set SLOTWISE_DATA_DIR to the folder of tokenizer/gpt2_*.gz";
  expect_same_encodings(*tokenizer, "gpt2_encodings.json");
}

TEST(TokenizerGpt2, SavedAsTokenizerJsonStaysTheSame) {
  const auto tokenizer = published_gpt2();
  if (!tokenizer) GTEST_SKIP() << "set SLOTWISE_DATA_DIR to the folder of tokenizer/gpt2_*.gz";
  EXPECT_EQ(tokenizer->vocabulary_size(), 50257);
  EXPECT_EQ(tokenizer->special(), (SpecialTokens{.bos = 50256, .eos = 50256}));
  const TemporaryFolder folder;
  tokenizer->save(folder / "tokenizer.json");
  const auto again = load_tokenizer(folder / "tokenizer.json");
  EXPECT_EQ(again->hash(), tokenizer->hash());
  EXPECT_EQ(again->special(), tokenizer->special());
  expect_same_encodings(*again, "gpt2_encodings.json");
}

// A whole GPT-2 in miniature, so that the reader of its two files is tested everywhere.
TEST(TokenizerGpt2, ReadsTheTwoFilesOfASmallOne) {
  const TemporaryFolder folder;
  const auto encoder =
      folder.write("encoder.json",
                   R"({"a": 0, "b": 1, "\u0120": 2, "ab": 3, "\u0120ab": 4, "<|endoftext|>": 5})");
  const auto merges = folder.write("vocab.bpe", "#version: 0.2\r\na b\r\n\u0120 ab\r\n");
  const auto tokenizer = load_gpt2(encoder, merges);
  EXPECT_EQ(tokenizer->encode("ab abb<|endoftext|>a"), (std::vector<std::int32_t>{3, 4, 1, 5, 0}));
  EXPECT_EQ(tokenizer->special().eos, 5);
  EXPECT_EQ(tokenizer->decode(std::vector<std::int32_t>{3, 4, 5, 1}), "ab abb");
}

TEST(TokenizerGpt2, BadFilesAreUserErrors) {
  const TemporaryFolder folder;
  const std::string vocabulary = R"({"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3})";
  const auto encoder = folder.write("encoder.json", vocabulary);
  const auto merges = folder.write("vocab.bpe", "#version: 0.2\na b\n");
  const auto fails = [](const auto& encoder_path, const auto& merges_path,
                        const std::vector<std::string>& words) {
    testing::expect_user_error([&] { load_gpt2(encoder_path, merges_path); }, words);
  };
  EXPECT_EQ(load_gpt2(encoder, merges)->vocabulary_size(), 4);
  fails(folder / "missing.json", merges, {"missing.json", "No such file"});
  fails(encoder, folder / "missing.bpe", {"missing.bpe", "No such file"});
  fails(folder.write("list.json", "[1]"), merges, {"list.json", "one JSON object"});
  fails(folder.write("word.json", R"({"a": "b"})"), merges, {"word.json", "\"a\"", "a number"});
  fails(folder.write("no_end.json", R"({"a": 0})"), merges, {"no_end.json", "<|endoftext|>"});
  fails(encoder, folder.write("one.bpe", "a b\nab\n"), {"one.bpe", "merge 2", "two tokens"});
  fails(encoder, folder.write("x.bpe", "a x\n"), {"x.bpe", "merge 1", "\"x\""});
  fails(encoder, folder.write("ba.bpe", "b a\n"), {"ba.bpe", "\"ba\""});
  fails(folder.write("cut.json", vocabulary.substr(0, 20)), merges, {"cut.json", "not JSON"});
  // The first bytes of a gzip file and nothing after.
  fails(
      folder.write("cut.json.gz", std::string("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b", 11)),
      merges, {"cut.json.gz", "truncated"});
}

}  // namespace
}  // namespace slotwise
