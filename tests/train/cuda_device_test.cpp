// Every program on a GPU, where there is one: the CPU's numbers up to rounding, the same bits
// twice, no wait inside a step but for the log. Where there is none: a sentence that says so.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "core/devices.h"
#include "core/sha256.h"
#include "tests/data/temporary_folder.h"
#include "tests/train/tiny_world.h"

namespace slotwise::testing {
namespace {

namespace fs = std::filesystem;

const Words kCuda{"--device", "cuda"};

#define SLOTWISE_NEEDS_GPU() \
  if (cuda::device_count() == 0) GTEST_SKIP() << "no CUDA device"

std::vector<double> losses_of(const fs::path& run) {
  std::vector<double> losses;
  std::ifstream file(run / "metrics.jsonl");
  for (std::string line; std::getline(file, line);) {
    const auto row = nlohmann::json::parse(line);
    if (row.contains("loss")) losses.push_back(row["loss"]);
  }
  return losses;
}

// Rounding grows from step to step, and a slot that changes places with another one of nearly the
// same score makes a jump: the bound is on the first steps.
void expect_alike(const fs::path& gpu, const fs::path& cpu) {
  const std::vector<double> a = losses_of(gpu), b = losses_of(cpu);
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t step = 0; step < std::min<std::size_t>(5, a.size()); ++step) {
    EXPECT_NEAR(a[step], b[step], 1e-3 * b[step]) << "step " << step;
  }
}

TEST(CudaPrograms, PretrainLikeTheCpuAndTheSameTwice) {
  SLOTWISE_NEEDS_GPU();
  const TemporaryFolder folder;
  run_well("pretrain", tiny_world().pretrain(folder / "a") + kCuda);
  run_well("pretrain", tiny_world().pretrain(folder / "b") + kCuda);
  run_well("pretrain", tiny_world().pretrain(folder / "cpu") + Words{"--device", "cpu"});
  EXPECT_EQ(sha256_of_file(folder / "a/checkpoint/model.safetensors"),
            sha256_of_file(folder / "b/checkpoint/model.safetensors"));
  expect_alike(folder / "a", folder / "cpu");
}

TEST(CudaPrograms, PretrainInBf16) {
  SLOTWISE_NEEDS_GPU();
  const TemporaryFolder folder;
  const Words narrow{"--precision", "bf16"};
  run_well("pretrain", tiny_world().pretrain(folder / "gpu") + narrow + kCuda);
  run_well("pretrain", tiny_world().pretrain(folder / "cpu") + narrow + Words{"--device", "cpu"});
  expect_alike(folder / "gpu", folder / "cpu");
}

TEST(CudaPrograms, FinetuneByEveryMethod) {
  SLOTWISE_NEEDS_GPU();
  const TemporaryFolder folder;
  for (const char* method : {"full", "lora", "smf", "tf", "random", "all_rows"}) {
    SCOPED_TRACE(method);
    const auto run = [&](const char* name, const char* device) {
      const fs::path out = folder / (std::string(name) + method);
      run_well("finetune", tiny_world().finetune(out, method) + Words{"--device", device});
      return out;
    };
    const fs::path first = run("a-", "cuda"), second = run("b-", "cuda"), cpu = run("c-", "cpu");
    EXPECT_EQ(sha256_of_file(first / "checkpoint/model.safetensors"),
              sha256_of_file(second / "checkpoint/model.safetensors"));
    expect_alike(first, cpu);
  }
}

TEST(CudaPrograms, EvaluateGenerateAndInspect) {
  SLOTWISE_NEEDS_GPU();
  const std::string checkpoint = tiny_world().checkpoint, data = tiny_world().data;
  run_well("evaluate", Words{"--checkpoint", checkpoint, "--data", data} + kCuda);
  run_well("inspect", Words{"--checkpoint", checkpoint, "--tensors", "--data", data} + kCuda);
  const Words prompt{"--checkpoint", checkpoint, "--prompt", "where was first3 last5 born ?"};
  EXPECT_EQ(run_well("generate", prompt + kCuda).out,
            run_well("generate", prompt + Words{"--device", "cpu"}).out);
}

TEST(CudaPrograms, SayThatThereIsNoGpu) {
  if (cuda::device_count() > 0) GTEST_SKIP() << "there is a CUDA device";
  const TemporaryFolder folder;
  const Finished done = run_program("pretrain", tiny_world().pretrain(folder / "out") + kCuda);
  EXPECT_EQ(done.code, 1);
  EXPECT_NE(done.error.find("--device cuda expected a GPU, found none ("), std::string::npos)
      << done.error;
  EXPECT_NE(done.error.find("use --device cpu, or auto"), std::string::npos) << done.error;
  EXPECT_FALSE(fs::exists(folder / "out"));
  const Finished profiled = run_program(
      "pretrain", tiny_world().pretrain(folder / "out") + Words{"--profile-steps", "2:3"});
  EXPECT_EQ(profiled.code, 1);
  EXPECT_NE(profiled.error.find("--profile-steps is for a profiler of GPUs"), std::string::npos)
      << profiled.error;
}

}  // namespace
}  // namespace slotwise::testing
