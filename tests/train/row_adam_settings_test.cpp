// finetune.row_beta1 and row_beta2 reach the optimizer of the rows: what they are by default
// changes no bit, anything else changes the model.
#include <gtest/gtest.h>

#include "core/files.h"
#include "tests/data/temporary_folder.h"
#include "tests/train/tiny_world.h"

namespace slotwise::testing {
namespace {

TEST(RowAdamSettings, ReachTheOptimizer) {
  const TemporaryFolder folder;
  const auto weights = [&](const std::string& setting) {
    const auto out = folder / setting;
    run_well("finetune", tiny_world().finetune(out, "smf") + Words{"--set", setting, "--quiet"});
    return read_file(out / "checkpoint/model.safetensors");
  };
  const std::string untouched = weights("finetune.row_clip=0");
  EXPECT_TRUE(weights("finetune.row_beta1=0.9") == untouched);
  EXPECT_TRUE(weights("finetune.row_beta2=0.999") == untouched);
  EXPECT_FALSE(weights("finetune.row_beta1=0") == untouched);
  EXPECT_FALSE(weights("finetune.row_beta2=0.9") == untouched);
}

}  // namespace
}  // namespace slotwise::testing
