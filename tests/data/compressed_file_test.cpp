#include "data/compressed_file.h"

#include <vector>

#include "tests/data/packing.h"
#include "tests/data/temporary_folder.h"

namespace slotwise {
namespace {

std::string long_text() {
  std::string text;
  for (int i = 0; i < 60'000; ++i) text += fmt::format("line {} {}\n", i, i * 7919LL % 104729);
  return text;
}

TEST(CompressedFile, UnpacksByTheFirstBytesWhateverTheName) {
  const TemporaryFolder folder;
  const std::string text = long_text();
  for (const char* name : {"a.gz", "a"}) {
    EXPECT_EQ(read_compressed_file(folder.write(name, pack_gzip(text))), text);
  }
  for (const char* name : {"b.zst", "b"}) {
    EXPECT_EQ(read_compressed_file(folder.write(name, pack_zstandard(text))), text);
  }
  EXPECT_EQ(read_compressed_file(folder.write("c.txt", text)), text);
  EXPECT_EQ(read_compressed_file(folder.write("d.txt", "")), "");
}

TEST(CompressedFile, JoinsMembersAndFrames) {
  const TemporaryFolder folder;
  EXPECT_EQ(read_compressed_file(
                folder.write("a.gz", pack_gzip("one ") + pack_gzip("") + pack_gzip("two"))),
            "one two");
  EXPECT_EQ(read_compressed_file(folder.write(
                "a.zst", pack_zstandard("one ") + pack_zstandard("") + pack_zstandard("two"))),
            "one two");
}

TEST(CompressedFile, EveryTruncationIsNoticed) {
  const TemporaryFolder folder;
  const std::string text = "a text that is long enough to have a middle";
  for (const auto& [name, packed] :
       {std::pair{"a.gz", pack_gzip(text)}, std::pair{"a.zst", pack_zstandard(text)}}) {
    for (std::size_t bytes = 4; bytes < packed.size(); ++bytes) {
      const auto path = folder.write(name, packed.substr(0, bytes));
      const std::string message = user_error_of([&] { read_compressed_file(path); });
      ASSERT_TRUE(contains(message, "truncated") && contains(message, name)) << message;
    }
  }
}

TEST(CompressedFile, DamageAndForeignContentAreNamed) {
  const TemporaryFolder folder;
  std::string gzip = pack_gzip(long_text());
  gzip[gzip.size() / 2] = static_cast<char>(gzip[gzip.size() / 2] ^ 0x55);
  std::string zstandard = pack_zstandard(long_text());
  for (std::size_t i = 100; i < 140; ++i) zstandard[i] = static_cast<char>(zstandard[i] ^ 0x55);
  for (const auto& path : {folder.write("a.gz", gzip), folder.write("a.zst", zstandard)}) {
    EXPECT_TRUE(contains(user_error_of([&] { read_compressed_file(path); }), "is damaged"));
  }
  EXPECT_TRUE(contains(user_error_of([&] { read_compressed_file(folder.write("b.gz", "plain")); }),
                       "gzip"));
  EXPECT_TRUE(contains(user_error_of([&] { read_compressed_file(folder.write("b.zst", "")); }),
                       "Zstandard"));
  EXPECT_TRUE(
      contains(user_error_of([&] { read_compressed_file(folder / "none"); }), "No such file"));
}

TEST(CompressedFile, LinesOfAnyLengthAndEnd) {
  const TemporaryFolder folder;
  const std::string wide(300'000, 'w');
  const auto lines_of = [&](const std::string& text) {
    std::vector<std::string> lines;
    read_lines(folder.write("lines", text), [&](std::string_view line, std::int64_t number) {
      lines.emplace_back(line);
      EXPECT_EQ(number, static_cast<std::int64_t>(lines.size()));
    });
    return lines;
  };
  using Lines = std::vector<std::string>;
  EXPECT_EQ(lines_of(""), Lines{});
  EXPECT_EQ(lines_of("\n"), Lines{""});
  EXPECT_EQ(lines_of("a\r\n\nb"), (Lines{"a", "", "b"}));
  EXPECT_EQ(lines_of("a\n" + wide + "\nb\n"), (Lines{"a", wide, "b"}));
}

}  // namespace
}  // namespace slotwise
