// Ranks on two hosts, which are network namespaces of this machine: their tensors travel by TCP,
// and what comes out is what one process makes.
#include <gtest/gtest.h>

#include "core/communicator.h"
#include "core/files.h"
#include "tests/data/temporary_folder.h"
#include "tests/train/tiny_world.h"

namespace slotwise::testing {
namespace {

namespace fs = std::filesystem;

TEST(TwoHosts, GiveTheBitsOfOneProcess) {
  if (!mpi_built()) GTEST_SKIP() << "this build has no MPI";
  constexpr int kNoNamespaces = 77;
  const TemporaryFolder folder;
  for (const std::string program : {"pretrain", "finetune"}) {
    const auto words = [&](const char* name) {
      const fs::path out = folder / (program + name);
      return (program == "pretrain" ? tiny_world().pretrain(out)
                                    : tiny_world().finetune(out, "smf")) +
             Words{"--shards", "2"};
    };
    const Finished hosts =
        run_command(Words{fs::current_path() / "tests/ranks/two_hosts.sh", program_path(program)} +
                    words("_hosts"));
    if (hosts.code == kNoNamespaces) GTEST_SKIP() << hosts.error;
    ASSERT_EQ(hosts.code, 0) << hosts.error;
    EXPECT_NE(hosts.out.find("0     host1"), hosts.out.npos) << hosts.out;
    EXPECT_NE(hosts.out.find("1     host2"), hosts.out.npos) << hosts.out;
    run_well(program, words("_alone"));
    const auto weights = [&](const char* name) {
      return read_file(folder / (program + name) / "checkpoint/model.safetensors");
    };
    EXPECT_TRUE(weights("_hosts") == weights("_alone")) << "the weights of " << program;
  }
}

}  // namespace
}  // namespace slotwise::testing
