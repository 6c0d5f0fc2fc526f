// WordLevel: words between white space, specials cut out of the text, Hugging Face's ids.
#include "tests/data/tokenizer_test_support.h"

namespace slotwise {
namespace {

using testing::expect_user_error;
using testing::tokenizer_fixture;
using Ids = std::vector<std::int32_t>;

const std::vector<std::string> kWords = {"<pad>",        "<unk>", "<s>", "</s>",
                                         "was",          "born",  "in",  "\u00c9lodie",
                                         "\u4e2d\u6587", "1901",  "."};
constexpr SpecialTokens kSpecial = {.pad = 0, .bos = 2, .eos = 3, .unknown = 1};

TEST(WordLevel, EqualsReference) {
  const auto loaded = load_tokenizer(tokenizer_fixture("word_level.json"));
  testing::expect_same_encodings(*loaded, "word_level_encodings.json");
  EXPECT_EQ(loaded->special(), kSpecial);  // by their names
  testing::expect_same_encodings(*make_word_level(kWords, kSpecial), "word_level_encodings.json");
}

TEST(WordLevel, SaveAndLoadKeepEverything) {
  // Names that tell nothing, so that the roles must come from the file.
  const auto made =
      make_word_level({"word", "zero", "first", "last"}, {.pad = 1, .bos = 2, .eos = 3});
  const TemporaryFolder folder;
  made->save(folder / "tokenizer.json");
  const auto loaded = load_tokenizer(folder / "tokenizer.json");
  EXPECT_EQ(loaded->special(), made->special());
  EXPECT_EQ(loaded->hash(), made->hash());
  EXPECT_EQ(loaded->encode("word last word"), (Ids{0, 3, 0}));
  EXPECT_EQ(loaded->decode(Ids{2, 0, 3, 0, 1}), "word word");
  EXPECT_EQ(folder.files(), 1);
}

TEST(WordLevel, OneTokenCanHaveSeveralRoles) {
  const auto made = make_word_level({"<end>", "a"}, {.pad = 0, .eos = 0});
  EXPECT_EQ(made->special(), (SpecialTokens{.pad = 0, .eos = 0}));
  EXPECT_EQ(made->encode("a a<end>"), (Ids{1, 1, 0}));
}

TEST(WordLevel, HashTellsVocabulariesApart) {
  const auto a = make_word_level({"a", "b"}, {});
  EXPECT_EQ(a->hash(), make_word_level({"a", "b"}, {})->hash());
  EXPECT_NE(a->hash(), make_word_level({"b", "a"}, {})->hash());
  EXPECT_NE(a->hash(), make_word_level({"a", "b"}, {.pad = 0})->hash());
  EXPECT_EQ(a->hash().size(), 64u);
}

TEST(WordLevel, UnknownWordWithoutUnknownTokenIsNamed) {
  const auto tokenizer = make_word_level({"<unk>", "a", "b"}, {});
  EXPECT_EQ(tokenizer->encode("a b"), (Ids{1, 2}));
  expect_user_error([&] { tokenizer->encode("a zebra b"); }, {"\"zebra\"", "3 words"});
  expect_user_error([&] { tokenizer->encode("a \xff"); }, {"byte offset 2"});
}

TEST(WordLevel, BadVocabularyIsAUserError) {
  expect_user_error([] { make_word_level({}, {}); }, {"empty"});
  expect_user_error([] { make_word_level({"a", "b", "a"}, {}); }, {"\"a\"", "two ids"});
  expect_user_error([] { make_word_level({"a", ""}, {}); }, {"empty word"});
  expect_user_error([] { make_word_level({"a b"}, {}); }, {"\"a b\"", "white space"});
  expect_user_error([] { make_word_level({"a\u00a0b"}, {}); }, {"white space"});
  expect_user_error([] { make_word_level({"a\xc3"}, {}); }, {"UTF-8"});
  expect_user_error([] { make_word_level({"a"}, {.eos = 1}); }, {"id 1", "1 words"});
  expect_user_error([] { make_word_level({"a"}, {.eos = -1}); }, {"id -1"});
}

}  // namespace
}  // namespace slotwise
