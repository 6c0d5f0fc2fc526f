// The floors of the house: a folder includes only what stands below it.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

namespace slotwise {
namespace {

namespace fs = std::filesystem;

const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"core", {"core"}},
    {"kernels", {"core", "kernels"}},
    {"layers", {"core", "kernels", "layers"}},
    {"memory", {"core", "kernels", "layers", "memory"}},
    {"optim", {"core", "kernels", "optim"}},
    {"data", {"core", "data"}},
    {"train", {"core", "kernels", "layers", "memory", "optim", "data", "train"}},
};

bool is_source(const fs::path& path) {
  static const std::set<std::string> kinds = {".h", ".cpp", ".cu", ".cuh"};
  return kinds.contains(path.extension().string());
}

TEST(Floors, NothingIncludesWhatStandsAbove) {
  const std::regex include("^#include \"([a-z]+)/.*");
  int files = 0;
  for (const auto& [folder, allowed] : kMayInclude) {
    ASSERT_TRUE(fs::exists(folder)) << "run the tests from the root of the source tree";
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (!entry.is_regular_file() || !is_source(entry.path())) continue;
      ++files;
      std::ifstream file(entry.path());
      std::smatch match;
      for (std::string line; std::getline(file, line);) {
        if (!std::regex_match(line, match, include)) continue;
        EXPECT_TRUE(allowed.contains(match[1].str())) << entry.path() << " includes " << match[1];
      }
    }
  }
  EXPECT_GT(files, 100);
}

}  // namespace
}  // namespace slotwise
