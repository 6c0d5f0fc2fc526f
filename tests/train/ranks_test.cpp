// Several ranks over MPI: the bits of one process with the same shards, on any number of ranks;
// losses with the library's own sums; a rank that dies or hangs ends the job. 2 and 4 ranks share
// whatever cores there are.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/communicator.h"
#include "core/files.h"
#include "core/safetensors.h"
#include "tests/data/temporary_folder.h"
#include "tests/train/tiny_world.h"
#include "train/checkpoint.h"
#include "train/rank_launcher.h"
#include "train/run_lock.h"

namespace slotwise::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string file_of(const fs::path& run, const char* name) {
  return read_file(run / "checkpoint" / name);
}

// metrics.jsonl without what depends on the clock.
std::vector<json> metrics(const fs::path& run) {
  std::vector<json> rows;
  const std::string text = read_file(run / "metrics.jsonl");
  for (std::size_t begin = 0, end; (end = text.find('\n', begin)) != text.npos; begin = end + 1) {
    rows.push_back(json::parse(text.substr(begin, end - begin)));
    rows.back().erase("tokens_per_second");
  }
  return rows;
}

void expect_same_runs(const fs::path& a, const fs::path& b) {
  EXPECT_TRUE(file_of(a, "model.safetensors") == file_of(b, "model.safetensors"))
      << "the weights differ";
  EXPECT_EQ(metrics(a), metrics(b));
}

class Ranks : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!mpi_built()) GTEST_SKIP() << "this build has no MPI";
  }
};

class RanksOfPrograms : public Ranks, public ::testing::WithParamInterface<Words> {};

// The first word is "pretrain" or a finetuning method.
TEST_P(RanksOfPrograms, GiveTheBitsOfOneProcess) {
  const TemporaryFolder folder;
  const Words& setting = GetParam();
  const bool pretrains = setting[0] == "pretrain";
  const auto run = [&](const char* name, const Words& how) {
    const fs::path out = folder / name;
    const Words words =
        pretrains ? tiny_world().pretrain(out) : tiny_world().finetune(out, setting[0]);
    run_well(pretrains ? "pretrain" : "finetune",
             words + Words(setting.begin() + 1, setting.end()) + how + Words{"--quiet"});
    return out;
  };
  const fs::path alone = run("alone", {"--shards", "4"});
  expect_same_runs(alone, run("two", {"--shards", "4", "--ranks", "2"}));
  expect_same_runs(alone, run("four", {"--ranks", "4"}));
}

INSTANTIATE_TEST_SUITE_P(
    Settings, RanksOfPrograms,
    ::testing::Values(
        Words{"pretrain"}, Words{"pretrain", "--device", "emulated"},
        Words{"smf", "--device", "emulated"},
        Words{"pretrain", "--set", "memory.layers=[0,2]", "--set", "memory.query_norm=batch",
              "--set", "memory.mode=add", "--set", "pretrain.activation_checkpointing=true",
              "--set", "pretrain.micro_batch=3"},
        Words{"pretrain", "--set", "memory.layers=[]", "--set", "pretrain.optimizer=sgd"},
        Words{"full"}, Words{"lora"}, Words{"smf"},
        Words{"smf", "--set", "finetune.rule=kl", "--set", "finetune.per_sequence=true", "--set",
              "finetune.written_weight=2", "--set", "finetune.micro_batch=1"},
        Words{"random", "--optimizer", "sgd"}, Words{"all_rows"}));

class RankChecks : public Ranks, public ::testing::WithParamInterface<Words> {};

TEST_P(RankChecks, PassInsideTheRanks) {
  const Finished done = run_well("rank-checks", GetParam() + Words{"--rank-timeout", "60"});
  EXPECT_TRUE(contains(done.out, "all checks passed")) << done.out;
}

INSTANTIATE_TEST_SUITE_P(Groups, RankChecks,
                         ::testing::Values(Words{"--ranks", "2"}, Words{"--ranks", "3"},
                                           Words{"--ranks", "4"},
                                           Words{"--ranks", "4", "--sums", "library"}));

TEST_F(Ranks, LibrarySumsGiveTheSameLosses) {
  const TemporaryFolder folder;
  const fs::path alone = folder / "alone", ranks = folder / "ranks";
  run_well("pretrain", tiny_world().pretrain(alone) + Words{"--shards", "4"});
  run_well("pretrain", tiny_world().pretrain(ranks) + Words{"--ranks", "4", "--sums", "library"});
  const std::vector<json> expected = metrics(alone), got = metrics(ranks);
  ASSERT_EQ(got.size(), 20u);
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i].at("loss"), expected[i].at("loss"), 1e-5) << "step " << i + 1;
  }
}

// Started on four, stopped, gone on with two, stopped, ended by one.
TEST_F(Ranks, ARunGoesOnWithOtherNumbersOfRanks) {
  for (const std::string program : {"pretrain", "finetune"}) {
    const TemporaryFolder folder;
    const fs::path straight = folder / "straight", parts = folder / "parts";
    const auto words = [&](const fs::path& out) {
      return program == "pretrain" ? tiny_world().pretrain(out) : tiny_world().finetune(out, "smf");
    };
    run_well(program, words(straight) + Words{"--shards", "4"});
    run_well(program, words(parts) + Words{"--ranks", "4", "--stop-after", "6"});
    EXPECT_EQ(json::parse(file_of(parts, "trainer.json")).at("step"), 6);
    run_well(program, words(parts) + Words{"--ranks", "2", "--stop-after", "6"});
    run_well(program, words(parts));
    expect_same_runs(straight, parts);
    const Finished refused =
        run_program(program, words(parts) + Words{"--ranks", "3", "--fresh", "--shards", "4"});
    EXPECT_EQ(refused.code, 1);
    EXPECT_TRUE(contains(refused.error, "3 ranks cannot share the 4 shards")) << refused.error;
  }
}

TEST_F(Ranks, TasksThatCannotFindEachOtherAreToldHow) {
  const TemporaryFolder folder;
  const RunLock other(folder / "run");
  const Finished done =
      run_command(Words{"env", "SLURM_STEP_NUM_TASKS=2", program_path("pretrain")} +
                  tiny_world().pretrain(folder / "run"));
  EXPECT_EQ(done.code, 1);
  EXPECT_TRUE(contains(done.error, "another program is at work")) << done.error;
  EXPECT_TRUE(contains(done.error, "srun --mpi=pmix")) << done.error;
}

TEST_F(Ranks, AMistakeIsToldOnceAndLeavesNoTrace) {
  const TemporaryFolder folder;
  const Finished done =
      run_program("pretrain", tiny_world().pretrain(folder / "run") +
                                  Words{"--ranks", "2", "--set", "pretrain.learning_rate=-1"});
  EXPECT_EQ(done.code, 1);
  EXPECT_EQ(done.error, "slotwise-pretrain: [pretrain] learning_rate must be above 0, got -1\n");
  EXPECT_FALSE(fs::exists(folder / "run"));
}

// A launcher that is not there tells what is refused before it is started.
TEST_F(Ranks, ShardsThatCannotBeAreRefusedBeforeAnyRankStarts) {
  const TemporaryFolder folder;
  const fs::path out = folder / "run";
  const auto refused = [&](const std::string& program, const Words& how) {
    const Words words =
        program == "pretrain" ? tiny_world().pretrain(out) : tiny_world().finetune(out, "smf");
    const Finished done =
        run_command(Words{"/usr/bin/env", "PATH=/nowhere", program_path(program)} + words + how);
    EXPECT_FALSE(fs::exists(out));
    return std::to_string(done.code) + " " + done.error;
  };
  for (const std::string program : {"pretrain", "finetune"}) {
    EXPECT_EQ(refused(program, {"--ranks", "3", "--shards", "4"}),
              "1 slotwise-" + program +
                  ": 3 ranks cannot share the 4 shards of a batch evenly; take a number of ranks "
                  "that divides 4, or other --shards\n");
    const std::string rows = program == "pretrain" ? "16" : "8";
    EXPECT_EQ(refused(program, {"--ranks", "2", "--shards", "96"}),
              "1 slotwise-" + program + ": a batch of " + rows +
                  " rows cannot be cut into 96 shards, one for each rank; take fewer ranks "
                  "(--ranks, --shards) or larger batches\n");
    EXPECT_TRUE(contains(refused(program, {"--ranks", "2"}), "cannot start mpirun"));
  }
}

// The last batch of an epoch is known by the facts: they are read before the model.
TEST_F(Ranks, AShortLastBatchIsRefusedBeforeTheModelIsRead) {
  const TemporaryFolder folder;
  fs::copy(tiny_world().checkpoint, folder / "damaged", fs::copy_options::recursive);
  write_file_atomically(folder / "damaged/model.safetensors", "damaged");
  Words words = tiny_world().finetune(folder / "run", "full");
  std::replace(words.begin(), words.end(), tiny_world().checkpoint.string(),
               (folder / "damaged").string());
  const Words facts = {"--set", "finetune.facts=3", "--set", "finetune.wordings=1"};
  const Finished done = run_program("finetune", words + facts + Words{"--shards", "3"});
  EXPECT_EQ(done.code, 1);
  EXPECT_TRUE(contains(done.error, "rows cannot be cut into 3 shards")) << done.error;
}

// As a launcher of one rank leaves its program; by names of Slurm's, and by mpirun itself.
TEST_F(Ranks, StartUnderALauncherOfOne) {
  const std::string path = program_path("rank-checks");
  const Words ranks = {path, "--ranks", "2"};
  for (const Words& launcher :
       {Words{"/usr/bin/env", "PMIX_RANK=0", "SLURM_STEP_NUM_TASKS=1", "SLURM_LOCALID=0",
              "SLURM_JOBID=7", "SLURM_JOB_ID=7", "SLURM_NODELIST=elsewhere[1-2]",
              "SLURM_JOB_NODELIST=elsewhere[1-2]", "SLURM_NNODES=2", "SLURM_TASKS_PER_NODE=1(x2)",
              "SLURM_NTASKS=1", "SLURM_PROCID=0"},
        Words{"/usr/bin/env", "OMPI_COMM_WORLD_RANK=0", "OMPI_COMM_WORLD_SIZE=1",
              "OMPI_COMM_WORLD_LOCAL_RANK=0", "OMPI_MCA_orte_ess_num_procs=1"},
        mpirun_words() + Words{"-n", "1"}}) {
    const Finished done = run_command(launcher + ranks);
    EXPECT_EQ(done.code, 0) << done.error;
    EXPECT_TRUE(contains(done.out, "2 ranks: all checks passed")) << launcher[1] << done.out;
  }
  const Finished refused = run_command(mpirun_words() + Words{"-n", "2", path, "--ranks", "3"});
  EXPECT_EQ(refused.code, 1);
  EXPECT_TRUE(contains(refused.error, "--ranks 3 under a launcher that started 2; leave --ranks"))
      << refused.error;
}

// Two ranks of one job, each with options of its own, as hosts with different files would be.
Finished run_pair(const std::string& program, const Words& first, const Words& second) {
  const std::string path = program_path(program);
  return run_command(mpirun_words() + Words{"-n", "1", path} + first + Words{":", "-n", "1", path} +
                     second);
}

void expect_told_once(const Finished& done, const std::string& program) {
  const std::string told = "slotwise-" + program +
                           ": rank 1 finds other settings, data or another checkpoint than rank 0: "
                           "all hosts must see the same --out, --data and --checkpoint, and have "
                           "the same --threads\n";
  EXPECT_EQ(done.code, 1);
  const std::size_t at = done.error.find(told);
  ASSERT_NE(at, std::string::npos) << done.error;
  EXPECT_EQ(done.error.find("rank 1 finds", at + told.size()), std::string::npos) << done.error;
}

TEST_F(Ranks, WithDifferentSettingsAreRefusedAndLeaveNoTrace) {
  for (const std::string program : {"pretrain", "finetune"}) {
    const TemporaryFolder folder;
    const fs::path out = folder / "new/run";
    const Words words =
        program == "pretrain" ? tiny_world().pretrain(out) : tiny_world().finetune(out, "smf");
    const Words other = {"--set", program + ".warmup=3"};
    expect_told_once(run_pair(program, words, words + other), program);
    EXPECT_FALSE(fs::exists(folder / "new"));
  }
}

// Rank 1 sees a folder of its own: none yet, then a checkpoint of an earlier step.
TEST_F(Ranks, WithDifferentCheckpointsAreRefusedAndChangeNothing) {
  const TemporaryFolder folder;
  const fs::path first = folder / "first", second = folder / "second";
  run_well("pretrain", tiny_world().pretrain(first) + Words{"--shards", "2", "--stop-after", "6"});
  const std::string trainer = file_of(first, "trainer.json"),
                    told = read_file(first / "metrics.jsonl");
  const Words words = tiny_world().pretrain(first) + Words{"--threads", "1"},
              others = tiny_world().pretrain(second) + Words{"--threads", "1"};
  expect_told_once(run_pair("pretrain", words, others), "pretrain");
  EXPECT_FALSE(fs::exists(second));
  run_well("pretrain", tiny_world().pretrain(second) + Words{"--shards", "2", "--stop-after", "4"});
  expect_told_once(run_pair("pretrain", words, others), "pretrain");
  EXPECT_EQ(file_of(first, "trainer.json"), trainer);
  EXPECT_EQ(read_file(first / "metrics.jsonl"), told);
  EXPECT_FALSE(fs::exists(first / "run.lock"));
  EXPECT_EQ(json::parse(file_of(second, "trainer.json")).at("step"), 4);
}

TEST_F(Ranks, AModelBeyondTheHostsMemoryIsRefusedWithTheNumberOfRanks) {
  const TemporaryFolder folder;
  const Finished done =
      run_program("pretrain", tiny_world().pretrain(folder / "run") +
                                  Words{"--ranks", "2", "--set", "memory.sub_keys=32768", "--set",
                                        "memory.value_dim=4096"});
  EXPECT_EQ(done.code, 1);
  EXPECT_TRUE(contains(done.error, "in each of 2 ranks on one host")) << done.error;
  EXPECT_FALSE(fs::exists(folder / "run"));
}

// A long run on two ranks, and its processes.
class LongRun {
 public:
  LongRun(const fs::path& out, int ranks)
      : out_(out),
        program_("pretrain", tiny_world().pretrain(out) +
                                 Words{"--ranks", std::to_string(ranks), "--rank-timeout", "2",
                                       "--quiet", "--set", "pretrain.steps=1000000", "--set",
                                       "pretrain.checkpoint_every=5"}) {
    while (!program_.ended() && !fs::exists(out / "checkpoint/trainer.json")) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  // Sends a signal to rank 1, and returns how the job ended.
  Finished after(int signal) {
    begin_ = std::chrono::steady_clock::now();
    EXPECT_EQ(::kill(process_of_rank_1(), signal), 0);
    return program_.wait();
  }
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  // By the environment that mpirun gave it; the folder tells this job from others.
  int process_of_rank_1() const {
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != name.npos) continue;
      std::ifstream words(entry.path() / "cmdline"), variables(entry.path() / "environ");
      const std::string line((std::istreambuf_iterator<char>(words)), {});
      const std::string environment((std::istreambuf_iterator<char>(variables)), {});
      if (contains(line, out_.string()) && contains(environment, "OMPI_COMM_WORLD_RANK=1")) {
        return std::stoi(name);
      }
    }
    return 0;
  }

  fs::path out_;
  RunningProgram program_;
  std::chrono::steady_clock::time_point begin_;
};

void expect_whole_and_resumable(const fs::path& run, int ranks) {
  EXPECT_NO_THROW(verify_checksums(run / "checkpoint"));
  const std::int64_t step = json::parse(file_of(run, "trainer.json")).at("step");
  EXPECT_EQ(step % 5, 0);
  const Finished again = run_well(
      "pretrain", tiny_world().pretrain(run) +
                      Words{"--ranks", std::to_string(ranks), "--stop-after", "1", "--set",
                            "pretrain.steps=1000000", "--set", "pretrain.checkpoint_every=5"});
  EXPECT_TRUE(contains(again.out, fmt::format("stopped at step {}", step + 1))) << again.out;
}

TEST_F(Ranks, AKilledRankEndsTheJob) {
  const TemporaryFolder folder;
  LongRun run(folder / "run", 2);
  const Finished end = run.after(SIGKILL);
  EXPECT_LT(run.seconds(), 60.0);
  EXPECT_EQ(end.code, 1);
  EXPECT_EQ(end.error,
            "slotwise-pretrain: rank 1 was ended by signal 9 (Killed), so the others were stopped; "
            "the same command goes on from the last checkpoint, where there is one\n");
  expect_whole_and_resumable(folder / "run", 2);
}

TEST_F(Ranks, AHangingRankEndsTheJob) {
  const TemporaryFolder folder;
  LongRun run(folder / "run", 3);  // the third one answers and must not be named
  const Finished end = run.after(SIGSTOP);
  EXPECT_LT(run.seconds(), 60.0);
  EXPECT_EQ(end.code, 1);
  EXPECT_EQ(end.error,
            "slotwise-pretrain: rank 1 gave no sign for 2 seconds (--rank-timeout): it hangs, has "
            "died or cannot be reached\n");
  expect_whole_and_resumable(folder / "run", 3);
}

TEST_F(Ranks, ASignalStopsAllAtOneStep) {
  const TemporaryFolder folder;
  const fs::path out = folder / "run";
  const Words words =
      tiny_world().pretrain(out) + Words{"--ranks", "2", "--set", "pretrain.steps=1000000"};
  RunningProgram running("pretrain", words);
  while (!running.ended() && !fs::exists(out / "metrics.jsonl")) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  running.interrupt();
  const Finished end = running.wait();
  EXPECT_EQ(end.code, 130) << end.error;
  EXPECT_TRUE(contains(end.out, "the same command resumes")) << end.out;
  EXPECT_EQ(json::parse(file_of(out, "trainer.json")).at("step"), metrics(out).back().at("step"));
}

TEST_F(Ranks, TheBenchmarkStopsBetweenSteps) {
  const fs::path program = program_path("pretrain").parent_path() / "ranks_bench";
  if (!fs::exists(program)) GTEST_SKIP() << "ranks_bench is not built";
  for (const Words& ranks : {Words{"--ranks", "2"}, Words{}}) {
    Finished end;
    for (int attempt = 1; attempt <= 5;
         ++attempt) {  // a loaded machine may not have started it yet
      RunningProgram running(Words{program, "--shape", "tiny", "--steps", "1000000"} + ranks);
      std::this_thread::sleep_for(std::chrono::seconds(3 * attempt));
      running.interrupt();
      end = running.wait();
      if (end.code == 130) break;
    }
    EXPECT_EQ(end.code, 130) << end.error;
    EXPECT_EQ(end.error, "ranks_bench: interrupted, nothing was measured\n");
    EXPECT_EQ(end.out, "");
  }
}

TEST(RanksWithoutMpi, AreRefusedInOneSentence) {
  if (mpi_built()) GTEST_SKIP() << "this build has MPI";
  const TemporaryFolder folder;
  const Finished done =
      run_program("pretrain", tiny_world().pretrain(folder / "run") + Words{"--ranks", "2"});
  EXPECT_EQ(done.code, 1);
  EXPECT_TRUE(contains(done.error, "several ranks need MPI")) << done.error;
}

}  // namespace
}  // namespace slotwise::testing
