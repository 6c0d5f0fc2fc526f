// What stands in --out is never lost: other runs, runs that diverge, places that cannot be written
// (tests/train/bad_input.h).
#include "tests/train/bad_input.h"

namespace slotwise::testing {
namespace {

using BadOutput = BadInput;

TEST_F(BadOutput, CannotBeWritten) {
  const fs::path file = folder_.write("file", "a file in the way");
  for (const fs::path& out : {file, file / "below", fs::path("/proc/slotwise")}) {
    refuses("prepare", {"--config", tiny_world().settings, "--out", out}, {out.string()});
    refuses("pretrain", world().pretrain(out), {out.string()});
    refuses("finetune", world().finetune(out, "smf"), {out.string()});
  }
  refuses("evaluate", {"--checkpoint", checkpoint_, "--data", data_, "--json", file / "x.json"},
          {"cannot write", "x.json"});
}

TEST_F(BadOutput, HoldsAnotherRun) {
  run_well("pretrain", world().pretrain(out_) + Words{"--stop-after", "2"});
  refuses("pretrain", world().pretrain(out_) + Words{"--seed", "1"},
          {"holds a run with other settings", "seed was 0, now 1"});
  refuses("pretrain", world().pretrain(out_) + Words{"--set", "model.intermediate_size=8"},
          {"model/intermediate_size was 16, now 8"});
  refuses("finetune", world().finetune(out_, "full"), {"holds a run with other settings"});
  for (const char* text : {"{", "[]", "3", ""}) {
    overwrite(out_ / "run.json", text);
    refuses("pretrain", world().pretrain(out_), {"run.json is damaged"});
  }
  fs::remove(out_ / "run.json");
  refuses("pretrain", world().pretrain(out_), {"holds a run without its run.json"});
}

TEST_F(BadOutput, HoldsARunOnOtherData) {
  run_well("pretrain", world().pretrain(out_) + Words{"--stop-after", "2"});
  TinyWorld other = world();
  other.data = folder_ / "other";
  run_well("prepare", {"--config", other.settings, "--seed", "5", "--out", other.data});
  refuses("pretrain", other.pretrain(out_), {"holds a run with other settings", "data was"});
  refuses("prepare", {"--config", other.settings, "--seed", "6", "--out", other.data},
          {"holds a dataset made with other settings"});
}

// --fresh throws a run away only when the new one can begin.
TEST_F(BadOutput, FreshWithAMistakeKeepsWhatIsThere) {
  run_well("pretrain", world().pretrain(out_) + Words{"--stop-after", "2"});
  const Words fresh = {"--fresh", "--set", "model.num_attention_heads=3"};
  refuses("pretrain", world().pretrain(out_) + fresh, {"must be a multiple"});
  refuses("prepare",
          {"--config", tiny_world().settings, "--out", data_, "--fresh", "--set", "data.values=0"},
          {"values must be at least 1"});
  run_well("pretrain", world().pretrain(out_) + Words{"--fresh", "--seed", "3"});
}

TEST_F(BadOutput, DamagedStateOfAnInterruptedRun) {
  run_well("finetune", world().finetune(out_, "smf") + Words{"--stop-after", "3"});
  flip_byte(out_ / "checkpoint/optimizer.safetensors", 5);
  refuses("finetune", world().finetune(out_, "smf"),
          {"optimizer.safetensors does not match its checksum"});
}

using Divergence = BadInput;

TEST_F(Divergence, StopsPretrainingWithTheLastGoodCheckpoint) {
  const Words settings = {"--set", "pretrain.learning_rate=1e35",
                          "--set", "pretrain.warmup=0",
                          "--set", "pretrain.clip=0"};
  const Finished done = run_program("pretrain", world().pretrain(out_) + settings);
  EXPECT_EQ(done.code, 1);
  EXPECT_TRUE(contains(done.error, "the run diverged")) << done.error;
  EXPECT_TRUE(contains(done.error, "no checkpoint was written before")) << done.error;
  EXPECT_TRUE(contains(done.error, "take a lower learning rate")) << done.error;
  EXPECT_EQ(std::count(done.error.begin(), done.error.end(), '\n'), 1) << done.error;
  EXPECT_FALSE(fs::exists(out_ / "result.json"));
  EXPECT_FALSE(fs::exists(out_ / "checkpoint"));
}

// A run with a good checkpoint goes on with a rate at which the weights overflow in one step, after
// which a checkpoint is due.
TEST_F(Divergence, NeverReplacesACheckpoint) {
  const Words every = {"--set", "pretrain.checkpoint_every=1"};
  run_well("pretrain", world().pretrain(out_) + every + Words{"--stop-after", "3"});
  json run = json::parse(read_file(out_ / "run.json"));
  run["pretrain"]["learning_rate"] = 3e38;
  overwrite(out_ / "run.json", run.dump());
  const auto before = snapshot(out_ / "checkpoint");
  const Finished done = run_program(
      "pretrain", world().pretrain(out_) + every + Words{"--set", "pretrain.learning_rate=3e38"});
  EXPECT_EQ(done.code, 1);
  EXPECT_TRUE(contains(done.error, "the run diverged")) << done.error;
  EXPECT_TRUE(contains(done.error, "values that are not finite")) << done.error;
  EXPECT_TRUE(snapshot(out_ / "checkpoint") == before);
  EXPECT_FALSE(fs::exists(out_ / "result.json"));
}

TEST_F(Divergence, StopsFinetuning) {
  for (const char* method : {"full", "lora", "smf"}) {
    Words words = world().finetune(out_, method);
    for (std::string& word : words) {
      if (word == "0.05" || word == "0.001") word = "3e38";
    }
    const Finished done =
        run_program("finetune", words + Words{"--fresh", "--set", "finetune.clip=0"});
    EXPECT_EQ(done.code, 1) << method;
    EXPECT_TRUE(contains(done.error, "the run diverged")) << method << ": " << done.error;
    EXPECT_EQ(std::count(done.error.begin(), done.error.end(), '\n'), 1) << done.error;
    EXPECT_FALSE(fs::exists(out_ / "result.json")) << method;
  }
}

}  // namespace
}  // namespace slotwise::testing
