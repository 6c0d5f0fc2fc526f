// Files that are missing, broken or of another kind, and files that cannot be written.
#include "data/tokenizer_utf8.h"
#include "tests/data/tokenizer_test_support.h"

namespace slotwise {
namespace {

using testing::expect_user_error;

TEST(TokenizerFile, BadFilesAreUserErrors) {
  const TemporaryFolder folder;
  const auto fails = [&](const std::string& text, std::vector<std::string> words) {
    const auto path = folder.write("tokenizer.json", text);
    words.emplace_back("tokenizer.json");
    expect_user_error([&] { load_tokenizer(path); }, words);
  };
  expect_user_error([&] { load_tokenizer(folder / "none.json"); }, {"none.json", "No such file"});
  expect_user_error([&] { load_tokenizer(folder.path()); }, {"cannot read", "directory"});
  fails("", {"not JSON"});
  fails("{\"model\": {\"type\": ", {"not JSON"});
  fails(std::string("\x93\x00\xff", 3), {"not JSON"});
  fails("[1, 2]", {"not laid out"});
  fails("{}", {"not laid out", "model"});
  fails(R"({"model": {"type": "Unigram", "vocab": []}})", {"Unigram", "WordLevel or BPE"});
  fails(R"({"model": {"vocab": {}}})", {"unnamed"});
  fails(R"({"model": {"type": "WordLevel", "vocab": {"a": 0}}, "pre_tokenizer": null})",
        {"null", "WhitespaceSplit"});
  fails(R"({"model": {"type": "WordLevel", "vocab": {"a": 0}}, "pre_tokenizer": {"type": "Bert"}})",
        {"Bert", "WhitespaceSplit"});
}

TEST(TokenizerFile, BadVocabulariesAreUserErrors) {
  const auto fails = [](const std::string& vocabulary, const std::vector<std::string>& words) {
    const std::string json = R"({"pre_tokenizer": {"type": "WhitespaceSplit"}, "model": )"
                             R"({"type": "WordLevel", "vocab": )" +
                             vocabulary + "}}";
    expect_user_error([&] { tokenizer_from_json(json, "test"); }, words);
  };
  fails("{}", {"empty"});
  fails(R"({"a": 1, "b": 1})", {"\"a\"", "\"b\"", "id 1"});
  fails(R"({"a": -1})", {"\"a\"", "-1"});
  fails(R"({"a": 2000000000})", {"2000000000"});
  fails(R"({"a": 99999999999999999})", {"99999999999999999"});
  fails(R"({"a": "x"})", {"not laid out"});
}

TEST(TokenizerFile, SaveReplacesWholeOrNotAtAll) {
  const TemporaryFolder folder;
  const auto tokenizer = make_word_level({"a", "b"}, {});
  const auto path = folder.write("tokenizer.json", "old");
  tokenizer->save(path);
  EXPECT_EQ(read_compressed_file(path), tokenizer->to_json());
  expect_user_error([&] { tokenizer->save(folder / "no/such/folder.json"); },
                    {"cannot write", "there is no folder"});
  // The place is taken by a folder: the rename fails, the file aside goes away again.
  std::filesystem::create_directories(folder / "taken.json/inside");
  expect_user_error([&] { tokenizer->save(folder / "taken.json"); }, {"taken.json"});
  EXPECT_TRUE(std::filesystem::is_directory(folder / "taken.json/inside"));
  EXPECT_EQ(folder.files(), 2);
}

TEST(TokenizerFile, HashIsThatOfTheFile) {
  const auto path = testing::tokenizer_fixture("word_level.json");
  const auto tokenizer = load_tokenizer(path);
  EXPECT_EQ(tokenizer->to_json(), read_compressed_file(path));
  EXPECT_EQ(make_word_level({"a"}, {})->hash(),
            tokenizer_from_json(make_word_level({"a"}, {})->to_json(), "test")->hash());
}

TEST(TokenizerFile, BrokenUtf8IsReplacedByLongestValidBeginnings) {
  EXPECT_EQ(replace_invalid_utf8("plain"), "plain");
  EXPECT_EQ(replace_invalid_utf8("a\xff"
                                 "b"),
            "a\ufffdb");
  EXPECT_EQ(replace_invalid_utf8("\xe2\x82"), "\ufffd");
  EXPECT_EQ(replace_invalid_utf8("\xf0\x9f\x98x"), "\ufffdx");
  EXPECT_EQ(replace_invalid_utf8("\xed\xa0\x80"), "\ufffd\ufffd\ufffd");
  EXPECT_EQ(replace_invalid_utf8("\xc0\xaf"), "\ufffd\ufffd");
  EXPECT_EQ(first_invalid_utf8("\u00e9\u65e5\U0001f600"), std::nullopt);
  EXPECT_EQ(first_invalid_utf8("twelve bytes\xf5"), 12u);
}

}  // namespace
}  // namespace slotwise
