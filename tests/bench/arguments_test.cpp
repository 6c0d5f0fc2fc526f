// The benchmarks' command lines and exit codes: those of all programs.
#include "bench/arguments.h"

#include <gtest/gtest.h>

#include "tests/data/temporary_folder.h"

namespace slotwise::bench {
namespace {

struct Ended {
  int code = -1;
  std::string out, error;
};

Ended run(std::vector<std::string> words, const std::function<void(Arguments&)>& body) {
  words.insert(words.begin(), "x_bench");
  std::vector<char*> given;
  for (std::string& word : words) given.push_back(word.data());
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  const int code =
      run_bench("x_bench", "the help\n", static_cast<int>(given.size()), given.data(), body);
  Ended ended{.code = code};
  ended.out = ::testing::internal::GetCapturedStdout();
  ended.error = ::testing::internal::GetCapturedStderr();
  return ended;
}

// Takes --size and --list; the rest is Google Benchmark's.
void take_all(Arguments& arguments) {
  arguments.number("--size", 3);
  arguments.numbers("--list", {1});
  arguments.initialize_benchmark();
}

TEST(BenchArguments, UsageErrorsAreTwo) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"--size", "0"},
                                             {"--size=-3"},
                                             {"--size", "x"},
                                             {"--size"},
                                             {"--list", "1,,2"},
                                             {"--sise", "3"},
                                             {"word"}}) {
    const Ended ended = run(words, take_all);
    EXPECT_EQ(ended.code, 2) << words[0];
    EXPECT_TRUE(ended.error.starts_with("x_bench: ")) << ended.error;
    EXPECT_TRUE(ended.error.ends_with("; see x_bench --help\n")) << ended.error;
    EXPECT_EQ(std::count(ended.error.begin(), ended.error.end(), '\n'), 1) << ended.error;
  }
  EXPECT_EQ(run({"--size", "4", "--list=2,3"}, take_all).code, 0);
}

TEST(BenchArguments, OtherErrorsAreOne) {
  const Ended ended = run({}, [](Arguments&) { user_error("no such device"); });
  EXPECT_EQ(ended.code, 1);
  EXPECT_EQ(ended.error, "x_bench: no such device\n");
  EXPECT_EQ(run({}, [](Arguments&) { throw std::bad_alloc(); }).code, 1);
}

TEST(BenchArguments, HelpRunsNothing) {
  const Ended ended = run({"--help"}, [](Arguments&) { fail("ran"); });
  EXPECT_EQ(ended.code, 0);
  EXPECT_EQ(ended.out, "the help\n");
}

TEST(BenchArguments, AnOutputThatCannotBeWrittenIsFoundBefore) {
  const TemporaryFolder folder;
  const std::string path = (folder / "none/ops.json").string();
  const Ended ended = run({"--benchmark_out=" + path}, take_all);
  EXPECT_EQ(ended.code, 1);
  EXPECT_NE(ended.error.find("there is no folder"), std::string::npos) << ended.error;
}

}  // namespace
}  // namespace slotwise::bench
