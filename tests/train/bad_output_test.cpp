// What stands in --out is never lost: other runs, runs that diverge, places that cannot be written
// (tests/train/bad_input.h).
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdlib>

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
}

// Found before the work, so that nothing was printed yet.
TEST_F(BadOutput, FilesThatCannotBeWritten) {
  const fs::path file = folder_.write("file", "a file in the way");
  const fs::path tokens = folder_.write("tokens.json", "[[1, 2]]");
  const Words model = {"--checkpoint", checkpoint_, "--data", data_};
  const auto refused = [&](const std::string& program, const Words& arguments) {
    const auto with = [&](const fs::path& path) { return model + arguments + Words{path}; };
    refuses(program, with(file / "x.json"), {"cannot write", "x.json"});
    refuses(program, with(folder_ / "none/x"), {"there is no folder", "none; make it first"});
    refuses(program, with(folder_.path()), {"it is a folder; give a file"});
    EXPECT_EQ(run_program(program, with(folder_.path())).out, "") << program;
  };
  refused("evaluate", {"--json"});
  refused("inspect", {"--record-trace"});
  refused("inspect", {"--logits-for", tokens, "--out-logits"});
}

// Holds a folder as a program at work in it does.
class HeldFolder {
 public:
  explicit HeldFolder(const fs::path& folder) {
    fs::create_directories(folder);
    descriptor_ = ::open((folder / "run.lock").c_str(), O_RDWR | O_CREAT, 0666);
    EXPECT_EQ(::flock(descriptor_, LOCK_EX | LOCK_NB), 0);
  }
  ~HeldFolder() { ::close(descriptor_); }

 private:
  int descriptor_;
};

TEST_F(BadOutput, HeldByAnotherProgram) {
  const Words prepare = {"--config", tiny_world().settings, "--out", out_};
  const Words phrases = {"another program is at work in " + out_.string()};
  {
    const HeldFolder held(out_);
    refuses("pretrain", world().pretrain(out_), phrases);
    refuses("pretrain", world().pretrain(out_) + Words{"--fresh"}, phrases);
    refuses("finetune", world().finetune(out_, "smf"), phrases);
    refuses("prepare", prepare, phrases);
    const HeldFolder held_too(checkpoint_);
    refuses("background",
            {"--config", tiny_world().settings, "--checkpoint", checkpoint_, "--data", data_},
            {"another program is at work in " + checkpoint_.string()});
  }
  // The file of a program that was killed is no lock, and is gone after the next one.
  run_well("prepare", prepare);
  EXPECT_FALSE(fs::exists(out_ / "run.lock"));
}

TEST_F(BadOutput, TwoRunsAtOnce) {
  const Words words = world().pretrain(out_) + Words{"--set", "pretrain.steps=1000000"};
  {
    RunningProgram first("pretrain", words);
    while (!fs::exists(out_ / "metrics.jsonl") && !first.ended()) ::usleep(2000);
    const Finished second = run_program("pretrain", words);
    EXPECT_EQ(second.code, 1);
    EXPECT_TRUE(contains(second.error, "another program is at work in")) << second.error;
    EXPECT_FALSE(first.ended());
  }
  run_well("pretrain", words + Words{"--stop-after", "1"});
}

TEST_F(BadOutput, AmongWhatTheRunReads) {
  for (const fs::path& folder : {data_, data_ / "run", folder_ / "x/../data"}) {
    refuses("pretrain", world().pretrain(folder), {folder.string(), "give a folder of its own"});
    refuses("finetune", world().finetune(folder, "full"), {"give a folder of its own"});
  }
  for (const fs::path& folder : {checkpoint_, checkpoint_ / "run"}) {
    refuses("finetune", world().finetune(folder, "full") + Words{"--fresh"},
            {"give a folder of its own"});
  }
  // Its checkpoint/ would be the base itself.
  refuses("finetune", world().finetune(folder_.path(), "full") + Words{"--fresh"},
          {"is the run that made", "give a folder of its own"});
  refuses("pretrain", world().pretrain(checkpoint_), {"holds a model"});
  refuses("prepare", {"--config", tiny_world().settings, "--out", checkpoint_}, {"holds a model"});
  run_well("pretrain", world().pretrain(out_) + Words{"--stop-after", "1"});
  refuses("prepare", {"--config", tiny_world().settings, "--out", out_}, {"holds a run"});
}

TEST_F(BadOutput, FinishedWithoutItsModel) {
  run_well("pretrain", world().pretrain(out_));
  flip_byte(out_ / "checkpoint/model.safetensors", 9);
  refuses("pretrain", world().pretrain(out_), {"model.safetensors does not match its checksum"});
  fs::remove_all(out_ / "checkpoint");
  refuses("pretrain", world().pretrain(out_), {"is finished, but its model", "is missing"});
  const fs::path other = folder_ / "other";
  const Words finetune = world().finetune(other, "smf");
  run_well("finetune", finetune + Words{"--no-checkpoint"});
  const Finished again = run_well("finetune", finetune + Words{"--no-checkpoint"});
  EXPECT_TRUE(contains(again.out, "is finished already"));
  refuses("finetune", finetune, {"its model was not kept", "--fresh"});
}

TEST_F(BadOutput, DatasetThatChangedSinceItWasMade) {
  const Words again = {"--config", tiny_world().settings, "--out", data_};
  EXPECT_TRUE(contains(run_well("prepare", again).out, "is up to date"));
  for (const auto& entry : fs::directory_iterator(tiny_world().data)) {
    const fs::path file = data_ / entry.path().filename();
    const std::string good = read_file(file);
    fs::remove(file);
    refuses("prepare", again, {file.filename() == "prepare.json" ? "prepare.json" : "is missing"});
    overwrite(file, good + " ");
    if (file.filename() != "prepare.json") {
      refuses("prepare", again, {file.string(), "is not as it was made"});
    }
    overwrite(file, good);
  }
  EXPECT_TRUE(contains(run_well("prepare", again).out, "is up to date"));
}

// What a program had to say and could not is no success.
TEST_F(BadOutput, StandardOutputIsFull) {
  const std::string error = (folder_ / "error.txt").string();
  const std::string rest = " > /dev/full 2> " + error;
  const std::string generate = " --prompt where --max-new-tokens 2";
  for (const std::string& command : {"inspect --tensors --checkpoint " + checkpoint_.string(),
                                     "generate --checkpoint " + checkpoint_.string() + generate,
                                     std::string("inspect --help")}) {
    const std::string program = program_path(command.substr(0, command.find(' '))).string();
    const int status = std::system((program + command.substr(command.find(' ')) + rest).c_str());
    EXPECT_EQ(WEXITSTATUS(status), 1) << command;
    const std::string text = read_file(error);
    EXPECT_TRUE(contains(text, "cannot write to standard output")) << text;
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  }
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
  EXPECT_TRUE(contains(done.error, "after step 4")) << done.error;
  EXPECT_TRUE(snapshot(out_ / "checkpoint") == before);
  EXPECT_FALSE(fs::exists(out_ / "result.json"));
}

TEST_F(Divergence, StopsFinetuning) {
  for (const char* method : {"full", "lora", "smf", "tf", "random", "all_rows"}) {
    Words words = world().finetune(out_, method);
    for (std::string& word : words) {
      if (word == "0.05" || word == "0.001") word = "3e38";
    }
    const bool clips = std::string(method) == "full" || std::string(method) == "lora";
    if (clips) words = words + Words{"--set", "finetune.clip=0"};
    const Finished done = run_program("finetune", words + Words{"--fresh"});
    EXPECT_EQ(done.code, 1) << method;
    EXPECT_TRUE(contains(done.error, "the run diverged: ")) << method << ": " << done.error;
    EXPECT_TRUE(contains(done.error, " step ")) << method << ": " << done.error;
    EXPECT_TRUE(contains(done.error, "nan") || contains(done.error, "inf")) << done.error;
    EXPECT_EQ(std::count(done.error.begin(), done.error.end(), '\n'), 1) << done.error;
    EXPECT_FALSE(fs::exists(out_ / "result.json")) << method;
  }
}

}  // namespace
}  // namespace slotwise::testing
