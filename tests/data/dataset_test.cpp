#include "data/dataset.h"

#include <nlohmann/json.hpp>

#include "core/files.h"
#include "data/tokenizer.h"
#include "tests/data/temporary_folder.h"

namespace slotwise {
namespace {

class DatasetTest : public testing::Test {
 protected:
  DatasetTest() {
    const auto tokenizer = make_word_level({"<pad>", "<bos>", "a", "b"},
                                           {.pad = 0, .bos = 1, .eos = {}, .unknown = {}});
    tokenizer->save(folder_ / "tokenizer.json");
    manifest_.name = "tiny";
    manifest_.seed = 18446744073709551615u;
    manifest_.options = "{\"z\":1,\"a\":[2.5]}";
    manifest_.tokenizer_hash = tokenizer->hash();
    manifest_.parts = {{"one", "one.tokens", PartKind::rows, 0.25},
                       {"two", "two.tokens", PartKind::stream, 0.75}};
    manifest_.heldout_text = "heldout.tokens";
    manifest_.facts = "facts.jsonl";
    manifest_.questions = {{"old", "old.jsonl"}};
    for (const char* name : {"one.tokens", "two.tokens", "heldout.tokens"}) shard(name);
    folder_.write("facts.jsonl", "{\"id\": \"f\", \"wordings\": [\"a b\"]}\n");
    folder_.write("old.jsonl", "{\"prompt\": \"a\", \"answers\": [\"b\"]}\n");
    write_manifest(manifest_, folder_.path());
  }
  void shard(const char* name, std::string hash = "") const {
    TokenShardWriter writer(folder_ / name, 4, hash.empty() ? manifest_.tokenizer_hash : hash);
    writer.append(std::vector<std::int32_t>{1, 2, 3});
    writer.finish();
  }
  std::string refusal() const {
    return user_error_of([&] { Dataset dataset(folder_.path()); });
  }
  TemporaryFolder folder_;
  DatasetManifest manifest_;
};

TEST_F(DatasetTest, ManifestRoundTrips) {
  const DatasetManifest read = read_manifest(folder_.path());
  EXPECT_EQ(read.name, "tiny");
  EXPECT_EQ(read.seed, manifest_.seed);
  EXPECT_EQ(nlohmann::json::parse(read.options), nlohmann::json::parse(manifest_.options));
  EXPECT_EQ(read.tokenizer_hash, manifest_.tokenizer_hash);
  ASSERT_EQ(read.parts.size(), 2u);
  EXPECT_EQ(read.parts[1].shard, "two.tokens");
  EXPECT_EQ(read.parts[1].kind, PartKind::stream);
  EXPECT_EQ(read.parts[1].weight, 0.75);
  EXPECT_EQ(read.questions, manifest_.questions);
}

TEST_F(DatasetTest, OpensEverythingItNames) {
  const Dataset dataset(folder_.path());
  dataset.verify();
  EXPECT_EQ(dataset.tokenizer().vocabulary_size(), 4);
  ASSERT_EQ(dataset.parts().size(), 2u);
  EXPECT_EQ(dataset.parts()[0].name, "one");
  EXPECT_EQ(dataset.parts()[0].weight, 0.25);
  EXPECT_EQ(dataset.parts()[0].shard->tokens(), 3);
  EXPECT_EQ(dataset.heldout_text().sequences(), 1);
  EXPECT_EQ(dataset.facts_path(), folder_ / "facts.jsonl");
  EXPECT_EQ(dataset.questions_path("old"), folder_ / "old.jsonl");
  EXPECT_FALSE(dataset.has_questions("new"));
  EXPECT_TRUE(contains(user_error_of([&] { dataset.questions_path("new"); }), "\"new\""));
}

TEST_F(DatasetTest, OptionalThingsMayBeAbsent) {
  manifest_.heldout_text = manifest_.facts = "";
  manifest_.questions.clear();
  write_manifest(manifest_, folder_.path());
  const Dataset dataset(folder_.path());
  EXPECT_TRUE(contains(user_error_of([&] { dataset.heldout_text(); }), "no held-out text"));
  EXPECT_TRUE(contains(user_error_of([&] { dataset.facts_path(); }), "no facts"));
}

TEST_F(DatasetTest, MissingAndForeignFilesAreNamed) {
  shard("two.tokens", "another-hash");
  EXPECT_TRUE(contains(refusal(), "two.tokens was made with another tokenizer")) << refusal();
  std::filesystem::remove(folder_ / "two.tokens");
  EXPECT_TRUE(contains(refusal(), "two.tokens: No such file")) << refusal();
  shard("two.tokens");
  for (const char* name : {"facts.jsonl", "old.jsonl"}) {
    std::filesystem::rename(folder_ / name, folder_ / "aside");
    EXPECT_TRUE(contains(refusal(), std::string(name) + " is missing")) << refusal();
    std::filesystem::rename(folder_ / "aside", folder_ / name);
  }
  make_word_level({"<pad>", "<bos>", "b", "a"}, {.pad = 0, .bos = 1, .eos = {}, .unknown = {}})
      ->save(folder_ / "tokenizer.json");
  EXPECT_TRUE(contains(refusal(), "is not the tokenizer that")) << refusal();
}

TEST_F(DatasetTest, BrokenDescriptionsAreRefused) {
  const std::string good = read_file(folder_ / "dataset.json");
  const auto with = [&](const char* name, const nlohmann::json& value) {
    auto row = nlohmann::json::parse(good);
    row[name] = value;
    folder_.write("dataset.json", row.dump());
    const std::string message = refusal();
    EXPECT_TRUE(contains(message, (folder_ / "dataset.json").string())) << message;
    return message;
  };
  EXPECT_TRUE(contains(with("format", "other"), "expected a dataset description"));
  EXPECT_TRUE(contains(with("version", 2), "version 2"));
  EXPECT_TRUE(contains(with("parts", nlohmann::json::array()), "at least one shard"));
  EXPECT_TRUE(contains(with("parts", {{{"name", "x"}}}), "\"shard\" is missing"));
  EXPECT_TRUE(contains(with("name", 5), "\"name\" must be a text"));
  EXPECT_TRUE(contains(with("seed", "x"), "must be number"));
  EXPECT_TRUE(contains(with("questions", 5), "must be object"));
  folder_.write("dataset.json", good.substr(0, good.size() / 2));
  EXPECT_TRUE(contains(refusal(), "broken JSON"));
  std::filesystem::remove(folder_ / "dataset.json");
  EXPECT_TRUE(contains(refusal(), "has no dataset.json"));
}

TEST_F(DatasetTest, VerifyFindsDamageInAnyShard) {
  std::string bytes = read_file(folder_ / "heldout.tokens");
  bytes[192] = 2;
  folder_.write("heldout.tokens", bytes);
  const Dataset dataset(folder_.path());
  EXPECT_TRUE(contains(user_error_of([&] { dataset.verify(); }), "heldout.tokens is damaged"));
}

}  // namespace
}  // namespace slotwise
