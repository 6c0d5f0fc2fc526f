#include "core/files.h"

#include "tests/data/temporary_folder.h"

namespace slotwise {
namespace {

TEST(Files, WritesAndReadsAnyBytes) {
  const TemporaryFolder folder;
  const std::string text("line\n\0\xFF end", 11);
  write_file_atomically(folder / "a", text);
  EXPECT_EQ(read_file(folder / "a"), text);
  write_file_atomically(folder / "a", "");
  EXPECT_EQ(read_file(folder / "a"), "");
  EXPECT_EQ(folder.files(), 1);
}

TEST(Files, ErrorsNameTheFileAndTheReason) {
  const TemporaryFolder folder;
  const auto missing = folder / "none" / "a";
  EXPECT_EQ(user_error_of([&] { write_file_atomically(missing, "x"); }),
            "cannot write " + missing.string() + ": there is no folder " +
                missing.parent_path().string() + "; make it first");
  EXPECT_EQ(user_error_of([&] { read_file(missing); }),
            "cannot read " + missing.string() + ": No such file or directory");
  EXPECT_TRUE(contains(user_error_of([&] { read_file(folder.path()); }), "it is a folder"));
  const auto file = folder.write("file", "x");
  EXPECT_TRUE(contains(user_error_of([&] { create_folder(file); }), "cannot create folder"));
  EXPECT_TRUE(contains(user_error_of([&] { create_folder(file / "below"); }), "cannot create"));
}

TEST(Files, CopiesWhole) {
  const TemporaryFolder folder;
  const std::string text(100'000, 'x');
  copy_file_flushed(folder.write("a", text), folder / "b");
  EXPECT_EQ(read_file(folder / "b"), text);
  EXPECT_THROW(copy_file_flushed(folder / "a", folder / "none/b"),
               std::filesystem::filesystem_error);
}

TEST(Files, WhatCannotBeWrittenIsFoundBefore) {
  const TemporaryFolder folder;
  const auto file = folder.write("file", "x");
  expect_writable(file);
  expect_writable(folder / "new");
  EXPECT_EQ(read_file(file), "x");
  EXPECT_EQ(folder.files(), 1);
  EXPECT_EQ(user_error_of([&] { expect_writable(folder.path()); }),
            "cannot write " + folder.path().string() + ": it is a folder; give a file");
  EXPECT_TRUE(contains(user_error_of([&] { expect_writable(folder / "none/a"); }),
                       "there is no folder " + (folder / "none").string()));
  EXPECT_TRUE(contains(user_error_of([&] { expect_writable(folder / "none/"); }), "no folder"));
  EXPECT_TRUE(contains(user_error_of([&] { expect_writable(file / "below"); }), "cannot write"));
  EXPECT_TRUE(contains(user_error_of([] { expect_writable("/dev/null"); }), "not a regular file"));
}

TEST(Files, AFolderInTheWayIsLeftAlone) {
  const TemporaryFolder folder;
  create_folder(folder / "taken/deep");
  EXPECT_TRUE(contains(user_error_of([&] { write_file_atomically(folder / "taken", "x"); }),
                       "cannot write"));
  EXPECT_TRUE(std::filesystem::is_directory(folder / "taken/deep"));
  EXPECT_EQ(folder.files(), 1);
}

TEST(AtomicFile, NothingAppearsWithoutCommit) {
  const TemporaryFolder folder;
  folder.write("a", "old");
  {
    AtomicFile file(folder / "a");
    file.write("new", 3);
  }
  EXPECT_EQ(read_file(folder / "a"), "old");
  EXPECT_EQ(folder.files(), 1);
}

TEST(AtomicFile, OverwritesAcrossItsBuffer) {
  const TemporaryFolder folder;
  const std::string block(700'000, 'x');
  AtomicFile file(folder / "a");
  for (int i = 0; i < 3; ++i) file.write(block.data(), block.size());
  file.overwrite(0, "HEAD", 4);
  file.overwrite(block.size() * 3 - 4, "TAIL", 4);
  file.write("!", 1);
  EXPECT_EQ(file.size(), block.size() * 3 + 1);
  EXPECT_THROW(file.overwrite(file.size(), "z", 1), Error);
  file.commit();
  const std::string text = read_file(folder / "a");
  EXPECT_EQ(text.size(), block.size() * 3 + 1);
  EXPECT_EQ(text.substr(0, 6), "HEADxx");
  EXPECT_EQ(text.substr(text.size() - 6), "xTAIL!");
  EXPECT_THROW(file.write("z", 1), Error);
}

}  // namespace
}  // namespace slotwise
