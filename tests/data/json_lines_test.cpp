#include "data/json_lines.h"

#include <nlohmann/json.hpp>

#include "core/files.h"
#include "tests/data/packing.h"
#include "tests/data/temporary_folder.h"

namespace slotwise {
namespace {

using nlohmann::json;

const std::string kRows = "{\"x\": 1}\n\n  \n{\"x\": \"zw\xC3\xB6lf\"}";

std::vector<std::string> dump_rows(const std::filesystem::path& path) {
  std::vector<std::string> rows;
  read_json_lines(path, [&](const json& row, std::int64_t line) {
    rows.push_back(fmt::format("{}:{}", line, row.dump()));
  });
  return rows;
}

std::string refusal(const std::filesystem::path& path) {
  return user_error_of([&] { dump_rows(path); });
}

TEST(JsonLines, ReadsPlainAndPacked) {
  const TemporaryFolder folder;
  const std::vector<std::string> expected = {"1:{\"x\":1}", "4:{\"x\":\"zw\xC3\xB6lf\"}"};
  EXPECT_EQ(dump_rows(folder.write("a.jsonl", kRows)), expected);
  EXPECT_EQ(dump_rows(folder.write("a.jsonl.gz", pack_gzip(kRows))), expected);
  EXPECT_EQ(dump_rows(folder.write("a.jsonl.zst", pack_zstandard(kRows))), expected);
  EXPECT_EQ(dump_rows(folder.write("b.jsonl", "\xEF\xBB\xBF" + kRows)), expected);
  EXPECT_TRUE(dump_rows(folder.write("c.jsonl", "")).empty());
}

TEST(JsonLines, ErrorsNameFileAndLine) {
  const TemporaryFolder folder;
  const auto path = folder / "a.jsonl";
  folder.write("a.jsonl", "{}\n{}\n{\"x\": }\n{}\n");
  EXPECT_TRUE(refusal(path).starts_with(path.string() + ", line 3: broken JSON at byte 7: "))
      << refusal(path);
  folder.write("a.jsonl", "{}\n{\"x\": \"\xFF\"}\n");
  EXPECT_EQ(refusal(path), path.string() + ", line 2: invalid UTF-8 at byte 8");
  folder.write("a.jsonl", "{}\n[1, 2]\n");
  EXPECT_EQ(refusal(path), path.string() + ", line 2: expected a JSON object, found array");
  folder.write("a.jsonl", "{}\n{} {}\n");
  EXPECT_TRUE(refusal(path).starts_with(path.string() + ", line 2: broken JSON"));
  const auto packed = folder.write("b.jsonl.gz", pack_gzip(kRows).substr(0, 20));
  EXPECT_TRUE(refusal(packed).starts_with(packed.string() + " is truncated"));
}

TEST(JsonLines, ErrorsOfTheCallbackGetThePlace) {
  const TemporaryFolder folder;
  const auto path = folder.write("a.jsonl", "{\"x\": \"text\", \"y\": []}\n{\"x\": 2}\n");
  const auto read_with = [&](const std::function<void(const json&)>& use) {
    return user_error_of([&] { read_json_lines(path, [&](const json& row, auto) { use(row); }); });
  };
  EXPECT_EQ(read_with([](const json& row) { text_field(row, "x"); }),
            path.string() + ", line 2: the field \"x\" must be a text, found number");
  EXPECT_EQ(read_with([](const json& row) { text_field(row, "z"); }),
            path.string() + ", line 1: the field \"z\" is missing");
  EXPECT_EQ(read_with([](const json& row) { texts_field(row, "y"); }),
            path.string() +
                ", line 1: the field \"y\" must be a list of at least one text, found "
                "an empty list");
  EXPECT_TRUE(read_with([](const json& row) {
                row.at("x").get<int>();
              }).starts_with(path.string() + ", line 1: type must be number"));
}

TEST(JsonLinesWriter, AppendsRowsThatCanBeReadAtOnce) {
  const TemporaryFolder folder;
  const auto path = folder / "metrics.jsonl";
  JsonLinesWriter writer(path);
  writer.write({{"step", 1}, {"text", "a\nb\xFF"}});
  EXPECT_EQ(dump_rows(path).size(), 1u);
  writer.write({{"step", 2}});
  JsonLinesWriter(path).write({{"step", 3}});
  EXPECT_EQ(dump_rows(path).size(), 3u);
}

TEST(JsonLinesWriter, MendsTheEndOfADeadRun) {
  const TemporaryFolder folder;
  const auto path = folder.write("metrics.jsonl", "{\"step\": 1}\n{\"step\": 2, \"lo");
  JsonLinesWriter(path).write({{"step", 2}});
  EXPECT_EQ(read_file(path), "{\"step\": 1}\n{\"step\":2}\n");
  const auto whole = folder.write("whole.jsonl", "{\"step\": 1}");
  JsonLinesWriter(whole).write({{"step", 2}});
  EXPECT_EQ(read_file(whole), "{\"step\": 1}\n{\"step\":2}\n");
  EXPECT_TRUE(contains(user_error_of([&] { JsonLinesWriter(folder / "none/a"); }), "cannot write"));
}

}  // namespace
}  // namespace slotwise
