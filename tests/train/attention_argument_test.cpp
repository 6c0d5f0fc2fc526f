// --attention where there is no CUDA device.
#include <gtest/gtest.h>

#include "core/error.h"
#include "tests/data/temporary_folder.h"
#include "tests/train/tiny_world.h"
#include "train/program.h"

namespace slotwise::testing {
namespace {

TEST(AttentionArgument, AutoIsTakenEverywhere) {
  EXPECT_TRUE((DeviceArgument{.device = "cpu", .attention = "auto"}.place(nullptr).is_cpu()));
}

TEST(AttentionArgument, AChoiceWithoutCudaIsRefused) {
  for (const char* device : {"cpu", "emulated"}) {
    for (const char* body : {"composed", "blocked", "cudnn"}) {
      EXPECT_THROW((DeviceArgument{.device = device, .attention = body}.place(nullptr)), UserError);
    }
  }
  EXPECT_THROW((DeviceArgument{.device = "cpu", .attention = "flash"}.place(nullptr)), UserError);
}

TEST(AttentionArgument, ProgramsSayWhyInOneLine) {
  const TemporaryFolder folder;
  const Finished done = run_program(
      "pretrain", tiny_world().pretrain(folder / "out") +
                      Words{"--device", "cpu", "--attention", "cudnn", "--precision", "bf16"});
  EXPECT_EQ(done.code, 1);
  EXPECT_EQ(done.error,
            "slotwise-pretrain: --attention cudnn is a choice on CUDA devices, and this is cpu; "
            "leave it out\n");
}

}  // namespace
}  // namespace slotwise::testing
