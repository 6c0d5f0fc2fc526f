// Byte-level BPE read from tokenizer.json: ids equal Hugging Face's, every text comes back whole.
#include <random>
#include <thread>

#include "data/tokenizer_utf8.h"
#include "tests/data/tokenizer_test_support.h"

namespace slotwise {
namespace {

using testing::expect_same_encodings;
using testing::tokenizer_fixture;
using Ids = std::vector<std::int32_t>;

// A byte-level BPE of all 256 bytes ("\u0100" ... as Hugging Face writes them), edited by a test.
nlohmann::json small_document() {
  return parse_json(read_compressed_file(tokenizer_fixture("small_bpe.json")), "small_bpe.json");
}

std::unique_ptr<Tokenizer> from_document(const nlohmann::json& document) {
  return tokenizer_from_json(document.dump(), "test");
}

std::string random_text(std::mt19937& random) {
  constexpr std::uint32_t kLimits[] = {0x80, 0x100, 0x800, 0x3100, 0x10000, 0x110000};
  std::string text;
  const auto length = random() % 60;
  for (std::uint32_t i = 0; i < length; ++i) {
    if (random() % 3 == 0) {
      text += " \n\t'sre"[random() % 7];
      continue;
    }
    const std::uint32_t code_point = random() % kLimits[random() % 6];
    if (code_point < 0xD800 || code_point > 0xDFFF) append_utf8(text, code_point);
  }
  return text;
}

TEST(ByteLevelBpe, EqualsReference) {
  expect_same_encodings(*load_tokenizer(tokenizer_fixture("small_bpe.json")),
                        "small_bpe_encodings.json");
}

TEST(ByteLevelBpe, Llama3StyleEqualsReference) {
  const auto tokenizer = load_tokenizer(tokenizer_fixture("llama3_style.json"));
  expect_same_encodings(*tokenizer, "llama3_style_encodings.json");
  EXPECT_EQ(tokenizer->special().bos, tokenizer->token_id("<|begin_of_text|>"));
  EXPECT_EQ(tokenizer->special().eos, tokenizer->token_id("<|end_of_text|>"));
  EXPECT_FALSE(tokenizer->special().pad.has_value());
}

TEST(ByteLevelBpe, RandomTextComesBack) {
  std::mt19937 random(7);
  for (const char* name : {"small_bpe.json", "llama3_style.json"}) {
    const auto tokenizer = load_tokenizer(tokenizer_fixture(name));
    for (int i = 0; i < 2000; ++i) {
      const std::string text = random_text(random);
      EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
    }
  }
}

TEST(ByteLevelBpe, MergesMayBePairsOrLines) {
  nlohmann::json document = small_document();
  const std::string text = read_compressed_file(tokenizer_fixture("training_text.txt"));
  const Ids expected = from_document(document)->encode(text);
  ASSERT_TRUE(document["model"]["merges"][0].is_array());
  for (auto& merge : document["model"]["merges"]) {
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
  EXPECT_EQ(from_document(document)->encode(text), expected);
}

TEST(ByteLevelBpe, PrefixSpaceAndDigits) {
  nlohmann::json document = small_document();
  const auto plain = from_document(document);
  document["pre_tokenizer"]["add_prefix_space"] = true;
  const auto prefixed = from_document(document);
  EXPECT_EQ(prefixed->encode("the"), plain->encode(" the"));
  EXPECT_EQ(prefixed->encode(" the"), plain->encode(" the"));
  EXPECT_EQ(prefixed->encode("the<pad>the"), plain->encode(" the<pad> the"));

  document = small_document();
  document["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Digits"}, {"individual_digits", true}}, document["pre_tokenizer"]}}};
  const auto digits = from_document(document);
  ASSERT_EQ(plain->encode("19").size(), 1u);
  EXPECT_EQ(digits->encode("19"), (Ids{*plain->token_id("1"), *plain->token_id("9")}));
}

TEST(ByteLevelBpe, LongWordsAreFastAndRight) {
  const auto tokenizer = load_tokenizer(tokenizer_fixture("small_bpe.json"));
  std::string text;
  while (text.size() < 1000000) text += "rememberedladdersthe";
  const Ids ids = tokenizer->encode(text);
  EXPECT_EQ(tokenizer->decode(ids), text);
  EXPECT_LT(ids.size(), text.size() / 2);
  for (const std::string unit : {" ", "\n", "<", "\u3000", "\u4e2d"}) {
    std::string run;
    while (run.size() < 300000) run += unit;
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(run)), run);
  }
}

TEST(ByteLevelBpe, ThreadsShareOneTokenizer) {
  const auto tokenizer = load_tokenizer(tokenizer_fixture("small_bpe.json"));
  const std::string text = read_compressed_file(tokenizer_fixture("training_text.txt"));
  const Ids expected = load_tokenizer(tokenizer_fixture("small_bpe.json"))->encode(text);
  std::vector<Ids> got(4);
  {
    std::vector<std::jthread> threads;
    for (Ids& ids : got) threads.emplace_back([&] { ids = tokenizer->encode(text); });
  }
  for (const Ids& ids : got) EXPECT_EQ(ids, expected);
}

TEST(ByteLevelBpe, DecodeReplacesBrokenCharactersAndRefusesForeignIds) {
  const auto tokenizer = load_tokenizer(tokenizer_fixture("small_bpe.json"));
  const std::int32_t e2 = *tokenizer->token_id("\u00e2");  // the byte 0xE2
  const std::int32_t a = *tokenizer->token_id("a");
  EXPECT_EQ(tokenizer->decode(Ids{a, e2, a}), "a\ufffda");
  EXPECT_EQ(tokenizer->decode(Ids{0, a, 1}), "a");  // specials are skipped
  testing::expect_user_error([&] { tokenizer->decode(Ids{700}); }, {"700", "vocabulary of 700"});
  testing::expect_user_error([&] { tokenizer->decode(Ids{-1}); }, {"-1"});
}

TEST(ByteLevelBpe, TokenTextAndIdAreInverse) {
  const auto tokenizer = load_tokenizer(tokenizer_fixture("small_bpe.json"));
  EXPECT_EQ(tokenizer->vocabulary_size(), 700);
  for (std::int32_t id = 0; id < 700; ++id) {
    EXPECT_EQ(tokenizer->token_id(tokenizer->token_text(id)), id);
  }
  EXPECT_EQ(tokenizer->token_text(tokenizer->encode(" the")[0]), "\u0120the");
  EXPECT_EQ(tokenizer->token_text(700), "");
  EXPECT_EQ(tokenizer->token_id("no such token"), std::nullopt);
}

TEST(ByteLevelBpe, ByteWithoutToken) {
  nlohmann::json document = small_document();
  document["model"]["merges"] = nlohmann::json::array();
  document["model"]["vocab"] = {{"<|endoftext|>", 0}, {"<pad>", 1}, {"a", 2}, {"?", 3}};
  testing::expect_user_error([&] { from_document(document)->encode("aba"); }, {"0x62", "no token"});
  document["model"]["unk_token"] = "?";
  EXPECT_EQ(from_document(document)->encode("aba"), (Ids{2, 3, 2}));
  EXPECT_EQ(from_document(document)->special().unknown, 3);
}

TEST(ByteLevelBpe, InvalidUtf8IsAUserErrorWithItsOffset) {
  const auto tokenizer = load_tokenizer(tokenizer_fixture("small_bpe.json"));
  for (const std::string broken :
       {"\xff", "\xc3", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"}) {
    testing::expect_user_error([&] { tokenizer->encode("twelve bytes" + broken + "x"); },
                               {"UTF-8", "byte offset 12"});
  }
}

TEST(ByteLevelBpe, WhatIsNotKnownIsAUserError) {
  const auto fails = [](const char* pointer, const nlohmann::json& value,
                        const std::vector<std::string>& words) {
    nlohmann::json document = small_document();
    document[nlohmann::json::json_pointer(pointer)] = value;
    testing::expect_user_error([&] { from_document(document); }, words);
  };
  fails("/normalizer", {{"type", "NFC"}}, {"normalizer NFC"});
  fails("/pre_tokenizer", nullptr, {"null", "ByteLevel"});
  fails("/pre_tokenizer", {{"type", "Metaspace"}}, {"Metaspace", "ByteLevel"});
  fails("/pre_tokenizer", {{"type", "Digits"}}, {"not byte-level"});
  fails("/pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", nlohmann::json::array()}},
        {"not byte-level"});
  const nlohmann::json split = {
      {"type", "Split"}, {"behavior", "Isolated"}, {"pattern", {{"Regex", "(a"}}}};
  fails("/pre_tokenizer", split, {"(a", "does not compile"});
  nlohmann::json other = split;
  other["pattern"] = {{"String", "a"}};
  fails("/pre_tokenizer", other, {"expected a Regex"});
  other = split;
  other["behavior"] = "MergedWithNext";
  fails("/pre_tokenizer", other, {"MergedWithNext", "Isolated"});
  fails("/model/byte_fallback", true, {"byte_fallback"});
  fails("/model/end_of_word_suffix", "</w>", {"end_of_word_suffix", "</w>"});
  fails("/model/dropout", 0.1, {"dropout"});
  fails("/model/merges/0", {"a", "nowhere"}, {"merge 1", "nowhere"});
  fails("/model/merges/1", {"a", "<pad>"}, {"merge 2", "a<pad>"});
  fails("/model/merges/2", "abc", {"merge 3", "two tokens"});
  fails("/model/merges/2", 7, {"not laid out"});
  fails("/model/vocab/~0twice", 5, {"both have id 5"});
  fails("/added_tokens/0/id", 9, {"<|endoftext|>"});
  fails("/added_tokens/0/single_word", true, {"single_word"});
}

}  // namespace
}  // namespace slotwise
