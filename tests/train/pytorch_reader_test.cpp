// A reader in PyTorch, written from the checkpoint contract alone, gets the same logits from
// trained checkpoints. Skipped where there is no PyTorch.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "tests/train/program_runner.h"

namespace slotwise::testing {
namespace {

TEST(PytorchReader, GetsTheSameLogits) {
  if (std::system("/usr/bin/python3 -c 'import numpy, torch' 2>/dev/null") != 0) {
    GTEST_SKIP() << "/usr/bin/python3 has no PyTorch (Debian: python3-torch)";
  }
  const std::string command = "OMP_NUM_THREADS=1 tests/pytorch_reader.sh " +
                              program_path("prepare").parent_path().string() + " 2>&1";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string text;
  char buffer[512];
  while (std::fgets(buffer, sizeof buffer, pipe) != nullptr) text += buffer;
  EXPECT_EQ(::pclose(pipe), 0) << text;
  EXPECT_NE(text.find("the logits are the same"), text.npos) << text;
}

}  // namespace
}  // namespace slotwise::testing
