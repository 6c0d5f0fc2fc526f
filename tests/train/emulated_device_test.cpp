// Every program on the emulated device, whose memory the host may not touch: what works here finds
// its way to a GPU, and the numbers must be the CPU's.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/files.h"
#include "core/sha256.h"
#include "tests/data/temporary_folder.h"
#include "tests/train/tiny_world.h"

namespace slotwise::testing {
namespace {

namespace fs = std::filesystem;

const Words kEmulated{"--device", "emulated"};

std::string weights_of(const fs::path& checkpoint) {
  return sha256_of_file(checkpoint / "model.safetensors");
}

TEST(EmulatedDevice, PretrainsWithTheSameBits) {
  const TemporaryFolder folder;
  const Finished done = run_well("pretrain", tiny_world().pretrain(folder / "out") + kEmulated);
  EXPECT_NE(done.out.find("device emulated"), std::string::npos) << done.out;
  EXPECT_EQ(weights_of(folder / "out/checkpoint"), weights_of(tiny_world().checkpoint));
}

TEST(EmulatedDevice, PretrainsEveryKindOfLayerWithTheSameBits) {
  const TemporaryFolder folder;
  const Words all{
      "--set", "memory.layers=[0, 2]",   "--set", "memory.tables=[[0, 2]]",
      "--set", "memory.mode=add",        "--set", "memory.query_norm=batch",
      "--set", "memory.key_norm=rms",    "--set", "memory.norm_gain=true",
      "--set", "model.qk_norm=true",     "--set", "model.tie_word_embeddings=true",
      "--set", "pretrain.micro_batch=5", "--set", "pretrain.activation_checkpointing=true",
      "--set", "pretrain.steps=6"};
  run_well("pretrain", tiny_world().pretrain(folder / "cpu") + all);
  run_well("pretrain", tiny_world().pretrain(folder / "emulated") + all + kEmulated);
  EXPECT_EQ(weights_of(folder / "emulated/checkpoint"), weights_of(folder / "cpu/checkpoint"));
}

TEST(EmulatedDevice, TrainsInBf16WithTheSameBits) {
  const TemporaryFolder folder;
  const Words narrow{"--precision", "bf16"};
  for (const char* method : {"smf", "lora"}) {
    SCOPED_TRACE(method);
    const fs::path cpu = folder / (std::string("cpu-") + method);
    const fs::path emulated = folder / (std::string("emulated-") + method);
    run_well("finetune", tiny_world().finetune(cpu, method) + narrow);
    run_well("finetune", tiny_world().finetune(emulated, method) + narrow + kEmulated);
    EXPECT_EQ(weights_of(emulated / "checkpoint"), weights_of(cpu / "checkpoint"));
  }
  run_well("pretrain", tiny_world().pretrain(folder / "cpu") + narrow);
  run_well("pretrain", tiny_world().pretrain(folder / "emulated") + narrow + kEmulated);
  EXPECT_EQ(weights_of(folder / "emulated/checkpoint"), weights_of(folder / "cpu/checkpoint"));
  EXPECT_NE(weights_of(folder / "cpu/checkpoint"), weights_of(tiny_world().checkpoint));
}

TEST(EmulatedDevice, FinetunesByEveryMethodWithTheSameBits) {
  const TemporaryFolder folder;
  for (const char* method : {"full", "lora", "smf", "tf", "random", "all_rows"}) {
    SCOPED_TRACE(method);
    const fs::path cpu = folder / (std::string("cpu-") + method);
    const fs::path emulated = folder / (std::string("emulated-") + method);
    run_well("finetune", tiny_world().finetune(cpu, method));
    run_well("finetune", tiny_world().finetune(emulated, method) + kEmulated);
    EXPECT_EQ(weights_of(emulated / "checkpoint"), weights_of(cpu / "checkpoint"));
    EXPECT_EQ(nlohmann::json::parse(read_file(emulated / "result.json"))["evaluations"],
              nlohmann::json::parse(read_file(cpu / "result.json"))["evaluations"]);
  }
}

TEST(EmulatedDevice, ResumesWhereItBegan) {
  const TemporaryFolder folder;
  for (const char* method : {"smf", "lora"}) {
    SCOPED_TRACE(method);
    const fs::path whole = folder / (std::string("whole-") + method);
    const fs::path halves = folder / (std::string("halves-") + method);
    const Words words = tiny_world().finetune(halves, method);
    run_well("finetune", tiny_world().finetune(whole, method) + kEmulated);
    run_well("finetune", words + kEmulated + Words{"--stop-after", "7"});
    // Without --device the run stays where it began; another device is refused.
    const Finished other = run_program("finetune", words + Words{"--device", "cpu"});
    EXPECT_EQ(other.code, 1);
    EXPECT_NE(other.error.find("device was \"emulated\""), std::string::npos) << other.error;
    const Finished resumed = run_well("finetune", words);
    EXPECT_NE(resumed.out.find("device emulated"), std::string::npos) << resumed.out;
    EXPECT_EQ(weights_of(halves / "checkpoint"), weights_of(whole / "checkpoint"));
  }
}

TEST(EmulatedDevice, CountsTheSameBackground) {
  const TemporaryFolder folder;
  fs::copy(tiny_world().checkpoint, folder / "copy", fs::copy_options::recursive);
  run_well("background", Words{"--config", tiny_world().settings, "--checkpoint", folder / "copy",
                               "--data", tiny_world().data, "--fresh"} +
                             kEmulated);
  EXPECT_EQ(sha256_of_file(folder / "copy/background.safetensors"),
            sha256_of_file(tiny_world().checkpoint / "background.safetensors"));
}

TEST(EmulatedDevice, AnswersAlike) {
  const auto same_output = [](const std::string& program, const Words& words) {
    EXPECT_EQ(run_well(program, words + kEmulated).out,
              run_well(program, words + Words{"--device", "cpu"}).out);
  };
  const std::string checkpoint = tiny_world().checkpoint, data = tiny_world().data;
  same_output("evaluate", {"--checkpoint", checkpoint, "--data", data, "--show", "2"});
  same_output("evaluate", {"--checkpoint", checkpoint, "--data", data, "--memory-off"});
  same_output("evaluate", {"--checkpoint", checkpoint, "--data", data, "--base", checkpoint});
  same_output("generate", {"--checkpoint", checkpoint, "--prompt", "where was first3 last5 born ?",
                           "--max-new-tokens", "5", "--temperature", "0.9", "--seed", "3"});
  same_output("inspect", {"--checkpoint", checkpoint, "--tensors", "--data", data, "--text",
                          "where was first3 last5 born ?"});
}

}  // namespace
}  // namespace slotwise::testing
