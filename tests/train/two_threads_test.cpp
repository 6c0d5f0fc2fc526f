// Same seed, same bits with two threads, at a size where every kernel splits its work.
#include <gtest/gtest.h>

#include "core/sha256.h"
#include "tests/data/temporary_folder.h"
#include "tests/train/program_runner.h"

namespace slotwise::testing {
namespace {

namespace fs = std::filesystem;

TEST(TwoThreads, GiveTheSameBitsTwice) {
  const TemporaryFolder folder;
  const fs::path data = folder / "data";
  run_well("prepare", {"--preset", "biographies", "--out", data.string()});
  const auto trained = [&](const char* name) {
    const fs::path out = folder / name;
    run_well("pretrain",
             {"--preset", "biographies", "--data", data.string(), "--out", out.string(), "--quiet",
              "--set", "pretrain.steps=12", "--set", "evaluate.text_rows=8"},
             2);
    return out / "checkpoint";
  };
  const auto taught = [&](const char* name, const fs::path& base, const char* method) {
    const fs::path out = folder / (std::string(name) + "-" + method);
    Words words = {"--preset",
                   "biographies",
                   "--data",
                   data.string(),
                   "--checkpoint",
                   base.string(),
                   "--out",
                   out.string(),
                   "--method",
                   method,
                   "--learning-rate",
                   "0.01",
                   "--quiet",
                   "--set",
                   "finetune.steps=12",
                   "--set",
                   "evaluate.text_rows=8"};
    if (method == std::string("tf")) words = words + Words{"--rows", "64"};
    run_well("finetune", words, 2);
    return sha256_of_file(out / "checkpoint" / "model.safetensors");
  };
  const fs::path a = trained("a"), b = trained("b");
  EXPECT_EQ(sha256_of_file(a / "model.safetensors"), sha256_of_file(b / "model.safetensors"));
  for (const char* method : {"full", "tf"}) {
    EXPECT_EQ(taught("a", a, method), taught("b", a, method)) << method;
  }
}

}  // namespace
}  // namespace slotwise::testing
