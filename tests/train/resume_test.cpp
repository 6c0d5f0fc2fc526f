// Runs resume exactly: 20 steps straight equal 10 + a resume in a new process + 10, bit for bit, in
// pretraining and in every finetuning method; and so does a run that a signal stopped anywhere.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "core/files.h"
#include "core/safetensors.h"
#include "tests/data/temporary_folder.h"
#include "tests/train/same_runs.h"
#include "tests/train/tiny_world.h"

namespace slotwise::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Runs `words` straight and in two processes, and compares. `words` lack --out.
void expect_resumes(const std::string& program, const Words& words) {
  const TemporaryFolder folder;
  const fs::path straight = folder / "straight", parts = folder / "parts";
  run_well(program, words + Words{"--out", straight});
  run_well(program, words + Words{"--out", parts, "--stop-after", "10"});
  ASSERT_FALSE(fs::exists(parts / "result.json"));
  EXPECT_EQ(read_json_file(parts / "checkpoint/trainer.json").at("step"), 10);
  run_well(program, words + Words{"--out", parts});
  expect_same_runs(straight, parts);
  EXPECT_EQ(metrics(straight).back().at("step"), 20);
}

void expect_survives_signal(const std::string& program, const Words& words) {
  const TemporaryFolder folder;
  const fs::path straight = folder / "straight", stopped = folder / "stopped";
  run_well(program, words + Words{"--out", straight});
  const Words command = words + Words{"--out", stopped};
  RunningProgram running(program, command);
  wait_for_steps(running, stopped, 7);
  running.interrupt();
  const Finished end = running.wait();
  ASSERT_EQ(end.code, 130) << end.error;
  EXPECT_TRUE(contains(end.out, "the same command resumes")) << end.out;
  EXPECT_GE(read_json_file(stopped / "checkpoint/trainer.json").at("step"), 7);
  run_well(program, command);
  expect_same_runs(straight, stopped);
}

const Words kTwoLayers = {"--set", "memory.layers=[0,2]", "--set", "memory.query_norm=batch",
                          "--set", "memory.mode=add"};

struct Setting {
  const char* name;
  Words words;
};
std::ostream& operator<<(std::ostream& out, const Setting& setting) {
  return out << setting.name;
}

class PretrainingResumes : public ::testing::TestWithParam<Setting> {};

TEST_P(PretrainingResumes, ToTheSameBits) {
  Words words = tiny_world().pretrain("");
  words.resize(words.size() - 2);
  expect_resumes("pretrain", words + GetParam().words);
}

INSTANTIATE_TEST_SUITE_P(
    Settings, PretrainingResumes,
    ::testing::Values(
        Setting{"plain", {}}, Setting{"micro_batches", {"--set", "pretrain.micro_batch=5"}},
        Setting{"two_layers_batch_norm_checkpoints",
                kTwoLayers + Words{"--set", "pretrain.checkpoint_every=3"}},
        Setting{"two_tables_recomputed",
                Words{"--set", "memory.layers=[0,2]", "--set", "memory.tables=[[0],[2]]", "--set",
                      "memory.query_norm=batch", "--set", "pretrain.micro_batch=7", "--set",
                      "pretrain.activation_checkpointing=true"}},
        Setting{"momentum", {"--set", "pretrain.optimizer=sgd", "--set", "pretrain.momentum=0.9"}},
        Setting{"no_memory", {"--set", "memory.layers=[]"}}),
    [](const auto& test) { return test.param.name; });

class FinetuningResumes : public ::testing::TestWithParam<Setting> {};

TEST_P(FinetuningResumes, ToTheSameBits) {
  const Words& more = GetParam().words;
  Words words = tiny_world().finetune("", more[0]);
  const auto out = std::find(words.begin(), words.end(), "--out");
  words.erase(out, out + 2);
  expect_resumes("finetune", words + Words(more.begin() + 1, more.end()));
}

INSTANTIATE_TEST_SUITE_P(
    Methods, FinetuningResumes,
    ::testing::Values(Setting{"full", {"full"}}, Setting{"lora", {"lora"}},
                      Setting{"smf_adam", {"smf"}},
                      Setting{"smf_sgd", {"smf", "--optimizer", "sgd"}},
                      Setting{"smf_micro_batches_checkpoints",
                              {"smf", "--set", "finetune.micro_batch=3", "--set",
                               "finetune.checkpoint_every=4", "--set", "finetune.row_clip=0.5"}},
                      Setting{"full_micro_batches", {"full", "--set", "finetune.micro_batch=3"}},
                      Setting{"smf_dynamic_per_sequence",
                              {"smf", "--set", "finetune.rule=kl", "--set",
                               "finetune.written_weight=2", "--set", "finetune.per_sequence=true"}},
                      Setting{"smf_dynamic_micro_batches",
                              {"smf", "--set", "finetune.rule=idf_power", "--set",
                               "finetune.written_weight=1", "--set", "finetune.micro_batch=3"}},
                      Setting{"tf", {"tf"}}, Setting{"random", {"random"}},
                      Setting{"all_rows", {"all_rows"}}),
    [](const auto& test) { return test.param.name; });

// Two memory layers on one table, query BatchNorm: the base is made here.
TEST(Resume, SparseFinetuningWithTwoMemoryLayers) {
  const TemporaryFolder folder;
  const TinyWorld& world = tiny_world();
  run_well("pretrain", world.pretrain(folder / "base") + kTwoLayers);
  TinyWorld other = world;
  other.checkpoint = folder / "base/checkpoint";
  run_well("background",
           {"--config", world.settings, "--checkpoint", other.checkpoint, "--data", world.data});
  Words words = other.finetune("", "smf") + Words{"--set", "finetune.micro_batch=3"};
  const auto out = std::find(words.begin(), words.end(), "--out");
  words.erase(out, out + 2);
  expect_resumes("finetune", words);
}

TEST(Resume, ASignalInPretraining) {
  Words words = tiny_world().pretrain("");
  words.resize(words.size() - 2);
  expect_survives_signal("pretrain", words + Words{"--set", "pretrain.steps=150"});
}

TEST(Resume, ASignalInFinetuning) {
  Words words = tiny_world().finetune("", "smf");
  const auto out = std::find(words.begin(), words.end(), "--out");
  words.erase(out, out + 2);
  expect_survives_signal("finetune", words + Words{"--set", "finetune.steps=150", "--set",
                                                   "finetune.evaluate_every=50"});
}

// A process that was killed leaves its last checkpoint and longer metrics than that.
TEST(Resume, AKilledRun) {
  const TemporaryFolder folder;
  const fs::path straight = folder / "straight", killed = folder / "killed";
  const Words more = {"--set", "pretrain.steps=150", "--set", "pretrain.checkpoint_every=4"};
  run_well("pretrain", tiny_world().pretrain(straight) + more);
  {
    RunningProgram running("pretrain", tiny_world().pretrain(killed) + more);
    wait_for_steps(running, killed, 11);
    ASSERT_FALSE(running.ended()) << "it was to be killed in mid-run";
  }
  run_well("pretrain", tiny_world().pretrain(killed) + more);
  expect_same_runs(straight, killed);
}

TEST(Resume, TwoThreadsGiveTheSameBitsAgain) {
  const TemporaryFolder folder;
  for (const char* name : {"a", "b"}) {
    run_well("pretrain", tiny_world().pretrain(folder / name) + kTwoLayers, 2);
    run_well("finetune", tiny_world().finetune(folder / (name + std::string("-smf")), "smf"), 2);
  }
  expect_same_runs(folder / "a", folder / "b");
  expect_same_runs(folder / "a-smf", folder / "b-smf");
}

// A dataset that a kill left half made is made again by the same command.
TEST(Resume, ADatasetThatWasBeingMade) {
  const TemporaryFolder folder;
  const fs::path data = folder / "data";
  const Words words = {"--preset", "smoke", "--out", data.string()};
  run_well("prepare", words);
  nlohmann::json request = read_json_file(data / "prepare.json");
  const nlohmann::json files = request.at("files");
  request.erase("files");
  request.erase("inputs");
  fs::remove(data / "prepare.json");
  const Finished foreign = run_program("prepare", words);
  EXPECT_EQ(foreign.code, 1);
  write_file_atomically(data / "prepare.pending", request.dump());
  fs::remove(data / "facts.jsonl");
  run_well("prepare", words);
  EXPECT_EQ(read_json_file(data / "prepare.json").at("files"), files);
  EXPECT_FALSE(fs::exists(data / "prepare.pending"));
  EXPECT_TRUE(contains(run_well("prepare", words).out, "up to date"));
}

// A run goes on with the threads it began with, whatever the machine offers now.
TEST(Resume, KeepsItsThreads) {
  const TemporaryFolder folder;
  const fs::path straight = folder / "straight", parts = folder / "parts";
  run_well("pretrain", tiny_world().pretrain(straight), 2);
  run_well("pretrain",
           tiny_world().pretrain(parts) + Words{"--threads", "2", "--stop-after", "10"});
  EXPECT_EQ(read_json_file(parts / "run.json").at("threads"), 2);
  const Finished other =
      run_program("pretrain", tiny_world().pretrain(parts) + Words{"--threads", "3"});
  EXPECT_EQ(other.code, 1);
  EXPECT_TRUE(contains(other.error, "holds a run on 2 threads, and 3 would change")) << other.error;
  run_well("pretrain", tiny_world().pretrain(parts), 1);
  EXPECT_EQ(read_json_file(parts / "run.json").at("threads"), 2);
  expect_same_runs(straight, parts);
}

// A kill after the last checkpoint, before its result is in place: nothing is done again.
TEST(Resume, AKillBetweenTheLastCheckpointAndItsResult) {
  const TemporaryFolder folder;
  const Words commands[] = {tiny_world().pretrain(folder / "pretrain"),
                            tiny_world().finetune(folder / "finetune", "lora")};
  for (const Words& words : commands) {
    const char* program = &words == commands ? "pretrain" : "finetune";
    const fs::path run = folder / program;
    run_well(program, words);
    const json before = read_json_file(run / "result.json");
    const auto model_time = fs::last_write_time(run / "checkpoint/model.safetensors");
    fs::rename(run / "result.json", run / "result.pending");
    fs::copy(run / "checkpoint", run / "checkpoint.tmp");
    folder.write(program + std::string("/run.json.partial-1"), "{");
    const Finished again = run_well(program, words);
    EXPECT_TRUE(contains(again.out, "is finished already")) << again.out;
    EXPECT_EQ(read_json_file(run / "result.json"), before);
    EXPECT_EQ(fs::last_write_time(run / "checkpoint/model.safetensors"), model_time);
    for (const char* left :
         {"result.pending", "checkpoint.tmp", "run.json.partial-1", "run.lock"}) {
      EXPECT_FALSE(fs::exists(run / left)) << left;
    }
  }
}

// A kill just before the last checkpoint leaves a result that is not yet true.
TEST(Resume, AKillBeforeTheLastCheckpoint) {
  const TemporaryFolder folder;
  const fs::path straight = folder / "straight", killed = folder / "killed";
  run_well("pretrain", tiny_world().pretrain(straight));
  run_well("pretrain", tiny_world().pretrain(killed) + Words{"--stop-after", "10"});
  folder.write("killed/result.pending", "{\"finished\": true}");
  run_well("pretrain", tiny_world().pretrain(killed));
  expect_same_runs(straight, killed);
}

// A kill while the state of a run that keeps no model is removed.
TEST(Resume, AKillWhileTheStateIsRemoved) {
  const TemporaryFolder folder;
  const fs::path run = folder / "run";
  const Words words = tiny_world().finetune(run, "smf");
  run_well("finetune", words + Words{"--stop-after", "10"});
  fs::copy(run / "checkpoint", folder / "state");
  run_well("finetune", words + Words{"--no-checkpoint"});
  EXPECT_FALSE(fs::exists(run / "checkpoint"));
  fs::copy(folder / "state", run / "checkpoint");
  fs::remove(run / "checkpoint/model.safetensors");
  const Finished again = run_well("finetune", words + Words{"--no-checkpoint"});
  EXPECT_TRUE(contains(again.out, "is finished already")) << again.out;
  EXPECT_FALSE(fs::exists(run / "checkpoint"));
}

TEST(Resume, AFinishedRunIsLeftAlone) {
  const TemporaryFolder folder;
  run_well("pretrain", tiny_world().pretrain(folder / "run"));
  const auto before = fs::last_write_time(folder / "run/result.json");
  const Finished again = run_well("pretrain", tiny_world().pretrain(folder / "run"));
  EXPECT_TRUE(contains(again.out, "is finished already"));
  EXPECT_EQ(fs::last_write_time(folder / "run/result.json"), before);
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

class RowMethods : public ::testing::TestWithParam<const char*> {};

TEST_P(RowMethods, ChangeNothingButTheSelectedRows) {
  const TemporaryFolder folder;
  const fs::path run = folder / "run";
  Words words = tiny_world().finetune(run, "smf");
  run_well("finetune", words + Words{"--optimizer", GetParam(), "--stop-after", "10"});
  const TensorFile before = read_safetensors(tiny_world().checkpoint / "model.safetensors");
  const TensorFile after = read_safetensors(run / "checkpoint/model.safetensors");
  const auto touched = read_safetensors(run / "checkpoint/optimizer.safetensors")
                           .require("rows.0.touched")
                           .to_vector<std::int32_t>();
  ASSERT_EQ(before.tensors.size(), after.tensors.size());
  for (const NamedTensor& entry : before.tensors) {
    if (entry.name == "model.memory.values") continue;
    EXPECT_TRUE(same_bytes(entry.tensor, after.require(entry.name))) << entry.name;
  }
  const Tensor& old_values = before.require("model.memory.values");
  const Tensor& new_values = after.require("model.memory.values");
  const std::set<std::int32_t> selected(touched.begin(), touched.end());
  std::size_t changed = 0;
  for (std::int64_t row = 0; row < old_values.size(0); ++row) {
    if (same_bytes(old_values.slice(row, row + 1), new_values.slice(row, row + 1))) continue;
    ++changed;
    EXPECT_TRUE(selected.contains(static_cast<std::int32_t>(row))) << "row " << row;
  }
  EXPECT_GT(changed, 12u) << "more rows than one step selects";
  EXPECT_EQ(changed, selected.size());
  run_well("finetune", words + Words{"--optimizer", GetParam()});
  EXPECT_GE(result(run).at("rows_touched").get<std::size_t>(), selected.size());
}

INSTANTIATE_TEST_SUITE_P(Optimizers, RowMethods, ::testing::Values("adam", "sgd"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace slotwise::testing
