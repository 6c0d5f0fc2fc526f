#include "train/process_pool.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/files.h"
#include "tests/data/temporary_folder.h"

namespace slotwise {
namespace {

PoolJob shell(const TemporaryFolder& folder, const std::string& name, const std::string& script,
              std::vector<std::size_t> after = {}) {
  return {.name = name,
          .kind = "shell",
          .command = {"sh", "-c", script},
          .log = folder / ("logs/" + name),
          .after = std::move(after),
          .folder = folder.path()};
}

TEST(ProcessPool, KeepsTheOrderAndTheLogs) {
  const TemporaryFolder folder;
  std::size_t reports = 0, done = 0;
  PoolOptions options{.jobs = 3, .environment = {{"POOL_TEST", "told"}}};
  options.on_progress = [&](const PoolProgress& progress) {
    ++reports;
    done = progress.done;
    EXPECT_LE(progress.running.size(), 3u);
  };
  const PoolOutcome outcome = run_pool({shell(folder, "a", "echo one >> order; echo $POOL_TEST"),
                                        shell(folder, "b", "echo two >> order; echo bad >&2", {0}),
                                        shell(folder, "c", "echo three >> order", {0, 1})},
                                       options);
  EXPECT_FALSE(outcome.failure);
  EXPECT_FALSE(outcome.interrupted);
  EXPECT_EQ(read_file(folder / "order"), "one\ntwo\nthree\n");
  EXPECT_EQ(read_file(folder / "logs/a"), "told\n");
  EXPECT_EQ(read_file(folder / "logs/b"), "bad\n");
  EXPECT_GE(reports, 4u);
  EXPECT_EQ(done, 3u);
}

TEST(ProcessPool, RunsNoMoreThanAllowedAndSkipsTheFinished) {
  const TemporaryFolder folder;
  // A job fails when another one is at work.
  const std::string alone = "mkdir busy && sleep 0.02 && rmdir busy";
  std::vector<PoolJob> jobs = {shell(folder, "a", alone), shell(folder, "b", alone),
                               shell(folder, "never", "exit 1"), shell(folder, "c", alone, {2})};
  jobs[2].finished = true;
  EXPECT_FALSE(run_pool(jobs, {.jobs = 1}).failure);
  EXPECT_FALSE(std::filesystem::exists(folder / "logs/never"));
}

TEST(ProcessPool, FailureStartsNothingMoreButWaits) {
  const TemporaryFolder folder;
  const PoolOutcome outcome =
      run_pool({shell(folder, "bad", "exit 3"), shell(folder, "slow", "sleep 0.2; touch waited"),
                shell(folder, "later", "touch later", {1})},
               {.jobs = 2});
  ASSERT_TRUE(outcome.failure);
  EXPECT_EQ(outcome.failure->job, 0u);
  EXPECT_EQ(outcome.failure->reason, "exit code 3");
  EXPECT_TRUE(std::filesystem::exists(folder / "waited"));
  EXPECT_FALSE(std::filesystem::exists(folder / "later"));
}

TEST(ProcessPool, NamesSignalsAndMissingPrograms) {
  const TemporaryFolder folder;
  const PoolOutcome killed = run_pool({shell(folder, "a", "kill -9 $$")}, {});
  ASSERT_TRUE(killed.failure);
  EXPECT_EQ(killed.failure->reason, "signal 9 (Killed)");
  PoolJob missing = shell(folder, "b", "");
  missing.command = {(folder / "nothing").string()};
  const PoolOutcome none = run_pool({missing}, {});
  ASSERT_TRUE(none.failure);
  EXPECT_TRUE(contains(none.failure->reason, "cannot start"));
}

TEST(ProcessPool, InterruptReachesTheJobsAndIsNoFailure) {
  const TemporaryFolder folder;
  // In a process of its own: other threads of this one do not block the signal.
  const pid_t process = fork();
  ASSERT_GE(process, 0);
  if (process == 0) {
    const PoolOutcome outcome =
        run_pool({shell(folder, "saves",
                        "trap 'touch saved; exit 130' TERM; kill -INT $PPID; while :; do "
                        "sleep 0.01; done"),
                  shell(folder, "later", "touch later", {0})},
                 {});
    _exit(outcome.interrupted && !outcome.failure ? 42 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(process, &status, 0), process);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 42);
  EXPECT_TRUE(std::filesystem::exists(folder / "saved"));
  EXPECT_FALSE(std::filesystem::exists(folder / "later"));
}

TEST(ProcessPool, EstimatesFromJobsOfTheSameKind) {
  const auto job = [](const char* kind, double cost) {
    return PoolJob{.kind = kind, .cost = cost};
  };
  const std::vector<PoolJob> jobs = {job("long", 100), job("short", 10), job("short", 10),
                                     job("other", 20), job("long", 100)};
  using enum JobState;
  EXPECT_FALSE(estimate_seconds_left(jobs, {running, waiting, waiting, waiting, finished_before},
                                     {5, 0, 0, 0, 0}, 1));
  // Rates: long 0.5 s a unit, short 1, all (50 + 10) / 110.
  const auto left = estimate_seconds_left(
      jobs, {finished, finished, running, waiting, finished_before}, {50, 10, 4, 0, 0}, 1);
  EXPECT_NEAR(*left, 6 + 20 * 60.0 / 110, 1e-9);
  // Two at a time: never less than the longest job alone.
  const auto two = estimate_seconds_left(
      jobs, {finished, finished, running, waiting, finished_before}, {50, 10, 4, 0, 0}, 2);
  EXPECT_NEAR(*two, 20 * 60.0 / 110, 1e-9);
}

}  // namespace
}  // namespace slotwise
