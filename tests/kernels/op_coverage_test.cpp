// What other files say about ops by name must be true of the registry: the GPU suite's sanitizer
// part, the table of docs/gpu_status.md; and every op can be timed.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <sstream>

#include "tests/support/op_check.h"

namespace slotwise::testing {
namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_FALSE(text.str().empty()) << path << ": run the tests from the root of the source tree";
  return text.str();
}

bool registered(const std::string& name) {
  const std::vector<std::string> names = op_names();
  return std::find(names.begin(), names.end(), name) != names.end();
}

TEST(OpCoverage, TheGpuSuiteNamesRegisteredOps) {
  const std::string script = text_of("tests/gpu_suite.sh");
  std::smatch list;
  ASSERT_TRUE(std::regex_search(script, list, std::regex("sanitized_ops=\\(([^)]*)\\)")));
  std::istringstream words(list[1]);
  int count = 0;
  for (std::string name; words >> name; ++count) {
    EXPECT_TRUE(registered(name)) << "tests/gpu_suite.sh names " << name << ", which is no op";
  }
  EXPECT_GT(count, 5);
}

// Its rows are functions of the catalogue (rms_norm_forward); an op may register several at once.
TEST(OpCoverage, EveryRowOfTheGpuStatusIsRegistered) {
  const std::string table = text_of("docs/gpu_status.md");
  const std::regex row("\\| ([a-z_]+)[^|]*\\| [a-z_]+\\.cu ");
  int rows = 0;
  for (auto found = std::sregex_iterator(table.begin(), table.end(), row);
       found != std::sregex_iterator(); ++found, ++rows) {
    std::string name = (*found)[1];
    while (!registered(name) && name.find('_') != std::string::npos) {
      name.resize(name.rfind('_'));
    }
    EXPECT_TRUE(registered(name)) << (*found)[1];
  }
  EXPECT_GT(rows, 40);
}

TEST(OpCoverage, EveryOpHasABenchmark) {
  for (const Op& op : registered_ops()) EXPECT_TRUE(op.bench_cases != nullptr) << op.name;
}

}  // namespace
}  // namespace slotwise::testing
