// slotwise-pareto with its real programs on a tiny world: what it writes, that a stopped sweep goes
// on to the same numbers, and that the report is made again from the runs alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "core/files.h"
#include "tests/data/temporary_folder.h"
#include "tests/train/program_runner.h"

namespace slotwise::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Two seeds, six methods, two settings a method: 24 runs of 16 steps, evaluated five times each.
constexpr const char* kSettings = R"(
name = "tiny"

[data]
kind = "biographies"
first_names = 8
last_names = 8
old_people = 12
fully_questioned_people = 6
new_people = 2
values = 4
text_sentences = 100
heldout_sentences = 16

[model]
hidden_size = 32
num_hidden_layers = 3
num_attention_heads = 2
intermediate_size = 16
max_position_embeddings = 32

[memory]
layers = [1]
sub_keys = 16
heads = 2
top_k = 4
key_dim = 8
value_dim = 32

[pretrain]
steps = 150
batch = 32
learning_rate = 8e-3
value_learning_rate = 4e-2
warmup = 5

[background]
batches = 8
batch = 8

[finetune]
steps = 16
facts = 2
wordings = 4
evaluate_every = 4

[evaluate]
target = "new"
heldout = "old"
text_rows = 8

[pareto]
seeds = [0, 1]
matched_target = 0.3

[[pareto.methods]]
name = "full"
method = "full"
settings = [{learning_rate = 1e-3}, {learning_rate = 5e-3}]

[[pareto.methods]]
name = "lora"
method = "lora"
settings = [{rank = 2, learning_rate = 5e-3}, {rank = 4, learning_rate = 1e-2}]

[[pareto.methods]]
name = "all_rows"
method = "all_rows"
optimizer = "adam"
settings = [{learning_rate = 0.05}, {learning_rate = 0.2}]

[[pareto.methods]]
name = "tf"
method = "tf"
optimizer = "adam"
settings = [{rows = 24, learning_rate = 0.2}, {rows = 48, learning_rate = 0.5}]

[[pareto.methods]]
name = "smf_adam"
method = "smf"
optimizer = "adam"
settings = [{rows = 24, learning_rate = 0.2}, {rows = 48, learning_rate = 0.5}]

[[pareto.methods]]
name = "smf_sgd"
method = "smf"
optimizer = "sgd"
settings = [{rows = 24, learning_rate = 100.0}, {rows = 48, learning_rate = 300.0}]
)";
constexpr std::size_t kSeeds = 2;
constexpr int kRuns = 24, kEvaluations = 5;
const std::set<std::string> kMethods = {"full", "lora", "all_rows", "tf", "smf_adam", "smf_sgd"};

class ParetoEndToEnd : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
  const fs::path settings_ = folder_.write("tiny.toml", kSettings), out_ = folder_ / "sweep";

  Words sweep(const fs::path& out, const char* jobs) const {
    return {"--config", settings_, "--out", out, "--jobs", jobs};
  }

  // One sweep stopped by SIGTERM when its first finetuning run was there, and gone on with.
  void stop_and_resume() {
    RunningProgram running("pareto", sweep(out_, "1"));
    const fs::path first = out_ / "seed-0/full-lr1e-3/result.json";
    while (!fs::exists(first) && !running.ended()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    running.interrupt();
    const Finished stopped = running.wait();
    ASSERT_EQ(stopped.code, 130) << stopped.out << stopped.error;
    EXPECT_TRUE(contains(stopped.error, "the same command goes on from here")) << stopped.error;
    EXPECT_FALSE(fs::exists(out_ / "summary.json"));
    const Finished early = run_program("pareto", {"--report-only", "--out", out_});
    EXPECT_EQ(early.code, 1);
    EXPECT_TRUE(contains(early.error, "is not finished")) << early.error;

    const auto written = fs::last_write_time(first);
    const Finished resumed = run_well("pareto", sweep(out_, "2"));
    EXPECT_EQ(fs::last_write_time(first), written);
    EXPECT_FALSE(contains(resumed.out, " 0 finished before")) << resumed.out;
    EXPECT_TRUE(contains(resumed.out, "too small to mean anything")) << resumed.out;
  }
};

json read_json(const fs::path& path) {
  return json::parse(read_file(path));
}

// A summary without what differs between two sweeps of the same settings.
json without_seconds(json tree) {
  if (!tree.is_structured()) return tree;
  if (tree.is_object()) tree.erase("seconds");
  for (json& each : tree) each = without_seconds(each);
  return tree;
}

void expect_statistic(const json& method, const char* field) {
  ASSERT_TRUE(method.contains(field)) << field;
  const json& statistic = method.at(field);
  ASSERT_EQ(statistic.at("per_seed").size(), kSeeds) << field;
  double sum = 0;
  int values = 0;
  for (const json& value : statistic.at("per_seed")) {
    if (value.is_null()) continue;
    sum += value.get<double>();
    ++values;
  }
  EXPECT_EQ(statistic.at("mean").is_null(), values == 0) << field;
  EXPECT_EQ(statistic.at("sd").is_null(), values < 2) << field;
  if (values == 0) return;
  EXPECT_NEAR(statistic.at("mean").get<double>(), sum / values, 1e-12) << field;
}

void expect_summary(const json& summary) {
  EXPECT_EQ(summary.at("preset"), "tiny");
  EXPECT_EQ(summary.at("matched_target"), 0.3);
  expect_statistic(summary, "memory_off_drop");
  for (const char* key : {"slotwise", "commit", "compiler", "architecture", "gemm", "processor",
                          "processor_features", "programs"}) {
    EXPECT_TRUE(summary.at("versions").at(key).is_string()) << key;
  }
  std::set<std::string> names;
  for (const auto& [name, method] : summary.at("methods").items()) {
    names.insert(name);
    EXPECT_GT(method.at("setting").at("learning_rate"), 0);
    EXPECT_EQ(method.at("seeds"), json({0, 1}));
    for (const char* field : {"reached", "target_at_end", "relative_drop_at_matched",
                              "relative_drop_at_end", "text_loss_rise_at_matched"}) {
      expect_statistic(method, field);
    }
    EXPECT_GT(method.at("seconds"), 0);
    for (std::size_t seed = 0; seed < kSeeds; ++seed) {
      const bool reached = method.at("reached").at("per_seed")[seed] == 1.0;
      for (const char* field : {"relative_drop_at_matched", "text_loss_rise_at_matched"}) {
        EXPECT_EQ(method.at(field).at("per_seed")[seed].is_null(), !reached) << name;
      }
    }
  }
  EXPECT_EQ(names, kMethods);
}

// The figures of full finetuning at the end, from its run's own file.
void expect_figures_of_runs(const fs::path& out, const json& summary) {
  const json& full = summary.at("methods").at("full");
  const bool eager = full.at("setting").at("learning_rate") == 5e-3;
  for (std::size_t seed = 0; seed < kSeeds; ++seed) {
    const json evaluations =
        read_json(out / fmt::format("seed-{}/full-lr{}e-3/result.json", seed, eager ? 5 : 1))
            .at("evaluations");
    ASSERT_EQ(evaluations.size(), static_cast<std::size_t>(kEvaluations));
    const json &before = evaluations.front().at("questions"),
               &after = evaluations.back().at("questions");
    EXPECT_EQ(before.size(), 2u) << "sets that no figure is made from are not asked";
    const double old = before.at("old").at("half1");
    ASSERT_GT(old, 0) << "the tiny model must know something that it can lose";
    EXPECT_NEAR(full.at("relative_drop_at_end").at("per_seed")[seed].get<double>(),
                1 - after.at("old").at("half1").get<double>() / old, 1e-12);
    EXPECT_EQ(full.at("target_at_end").at("per_seed")[seed], after.at("new").at("half1"));
  }
}

void expect_files(const fs::path& out) {
  const std::string csv = read_file(out / "runs.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + kRuns * kEvaluations);
  const std::string page = read_file(out / "report.html");
  for (const std::string& method : kMethods) {
    EXPECT_TRUE(contains(page, "</span>" + method)) << method;
  }
  if (contains(page, "gnuplot was not found")) return;
  EXPECT_EQ(read_file(out / "pareto.png").substr(1, 3), "PNG");
  EXPECT_TRUE(contains(read_file(out / "pareto.svg"), "<title>New knowledge learned against"));
  EXPECT_TRUE(contains(page, "<title>New knowledge learned against"));
}

TEST_F(ParetoEndToEnd, StoppedAndResumedEqualsStraightAndReportsAgain) {
  stop_and_resume();
  if (HasFatalFailure()) return;
  const json summary = read_json(out_ / "summary.json");
  expect_summary(summary);
  expect_figures_of_runs(out_, summary);
  expect_files(out_);
  EXPECT_FALSE(fs::exists(out_ / "seed-0/full-lr1e-3/checkpoint"));

  const fs::path straight = folder_ / "straight";
  run_well("pareto", sweep(straight, "2"));
  EXPECT_EQ(without_seconds(read_json(straight / "summary.json")), without_seconds(summary));

  // The report needs the measurements of the runs and nothing else.
  fs::remove_all(out_ / "seed-0/pretrain/checkpoint");
  const std::string before = read_file(out_ / "summary.json"), csv = read_file(out_ / "runs.csv");
  for (const char* name : {"summary.json", "runs.csv", "report.html"}) fs::remove(out_ / name);
  run_well("pareto", {"--report-only", "--out", out_});
  EXPECT_EQ(read_file(out_ / "summary.json"), before);
  EXPECT_EQ(read_file(out_ / "runs.csv"), csv);
  expect_files(out_);
  run_well("pareto", {"--report-only", "--out", out_, "--set", "pareto.matched_target=0.2"});
  EXPECT_EQ(read_json(out_ / "summary.json").at("matched_target"), 0.2);
  EXPECT_FALSE(fs::exists(out_ / "seed-0/pretrain/checkpoint"));

  json stored = read_json(straight / "settings.json");
  stored["versions"]["programs"] = "of an earlier build";
  write_file_atomically(straight / "settings.json", stored.dump());
  const Finished refused = run_program("pareto", sweep(straight, "2"));
  EXPECT_EQ(refused.code, 1);
  EXPECT_TRUE(contains(refused.error, "holds results of another build")) << refused.error;
}

}  // namespace
}  // namespace slotwise::testing
