// The sweep with stand-ins for its programs: shell scripts that write what the real ones write.
#include "train/pareto_sweep.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/files.h"
#include "memory/background_usage.h"
#include "tests/data/temporary_folder.h"
#include "train/pareto_base.h"
#include "train/pareto_report.h"
#include "train/pareto_summary.h"
#include "train/pareto_versions.h"

namespace slotwise {
namespace {

using nlohmann::json;

constexpr const char* kFindOut = R"(#!/bin/sh
all="$*"
while [ $# -gt 0 ]; do
  case $1 in
    --out) out=$2 ;;
    --checkpoint) checkpoint=$2 ;;
    --name) name=.$2 ;;
    --learning-rate) rate=$2 ;;
  esac
  shift
done
echo "$0 $all threads $OMP_NUM_THREADS"
)";

// What the programs write: 90 % of the new learned, 25 % of the old lost, half without the memory.
constexpr const char* kPretrain = R"(mkdir -p "$out/checkpoint"
q() { echo "\"$1\":{\"count\":8,\"exact\":$2,\"f1\":1,\"half0\":$2,\"half1\":$2}"; }
s() { echo "{\"questions\":{$(q new 0),$(q old $1)},\"text_loss\":2.0}"; }
echo "{\"finished\":true,\"seconds\":3,\"steps\":5,\"parameters\":9,\"evaluation\":$(s 0.8),
\"evaluation_memory_off\":$(s 0.4)}" > "$out/result.json"
)";
constexpr const char* kFinetune = R"(mkdir -p "$out"
if [ "$rate" = 0.66 ]; then echo "first line"; echo "the rate is odd" >&2; exit 1; fi
q() { echo "\"$1\":{\"exact\":$2,\"f1\":0.95,\"half0\":$2,\"half1\":$2}"; }
e() { echo "{\"step\":$1,\"questions\":{$(q new $2),$(q old $3)},\"text_loss\":$4}"; }
echo "{\"finished\":true,\"seconds\":2,\"trainable_per_batch\":64,\"rows_touched\":1,
\"evaluations\":[$(e 0 0 0.8 2.0),$(e 20 0.9 0.6 2.5)]}" > "$out/result.json"
)";

class ParetoSweepTest : public ::testing::Test {
 protected:
  ParetoSweepTest() {
    create_folder(folder_ / "bin");
    script("prepare", R"(mkdir -p "$out"; touch "$out/dataset.json" "$out/prepare.json")");
    script("pretrain", kPretrain);
    script("background", R"(touch "$checkpoint/background$name.safetensors")");
    script("finetune", kFinetune);
    setup_ = {.out = folder_ / "sweep",
              .programs = folder_ / "bin",
              .settings_arguments = {"--preset", "test", "--set", "finetune.steps=20"}};
  }

  void script(const std::string& verb, const std::string& body) {
    const auto path = folder_.write("bin/slotwise-" + verb, kFindOut + body);
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  }

  static json settings() {
    const json methods = {
        {{"name", "full"}, {"method", "full"}, {"settings", {{{"learning_rate", 1e-4}}}}},
        {{"name", "smf_adam"},
         {"method", "smf"},
         {"optimizer", "adam"},
         {"settings", {{{"learning_rate", 0.05}, {"rows", 32}}}}}};
    return {{"name", "test"},
            {"finetune", {{"steps", 20}}},
            {"evaluate", {{"target", "new"}, {"heldout", "old"}}},
            {"pareto", {{"seeds", {0, 4}}, {"matched_target", 0.9}, {"methods", methods}}}};
  }

  PoolOutcome sweep(const json& tree) {
    const Options options = Options::from_json(tree);
    plan_ = read_pareto_plan(options, {});
    jobs_ = sweep_jobs(plan_, options, setup_);
    return run_pool(jobs_, {.jobs = 4, .environment = {{"OMP_NUM_THREADS", "1"}}});
  }

  std::string log(const std::string& run) const {
    return read_file(setup_.out / ("seed-4/logs/" + run + ".txt"));
  }

  json stored(const json& tree) const {
    const Options options = Options::from_json(tree);
    return sweep_settings(options, read_pareto_plan(options, {}), "slotwise-pareto --preset test",
                          setup_);
  }

  // With one setting more for both methods.
  static json longer_settings() {
    json more = settings();
    more["pareto"]["methods"][0]["settings"].push_back({{"learning_rate", 1e-3}});
    more["pareto"]["methods"][1]["settings"].push_back({{"learning_rate", 0.1}, {"rows", 32}});
    return more;
  }

  TemporaryFolder folder_;
  SweepSetup setup_;
  ParetoPlan plan_;
  std::vector<PoolJob> jobs_;
};

TEST_F(ParetoSweepTest, RunsEveryStageWithItsArguments) {
  ASSERT_FALSE(sweep(settings()).failure);
  ASSERT_EQ(jobs_.size(), 10u);
  const std::string seed = (setup_.out / "seed-4").string();
  EXPECT_TRUE(contains(log("prepare"),
                       "slotwise-prepare --preset test --set finetune.steps=20 "
                       "--seed 4 --out " +
                           seed + "/data threads 1"));
  EXPECT_TRUE(contains(log("pretrain"),
                       "--seed 4 --data " + seed + "/data --out " + seed +
                           "/pretrain --set evaluate.questions=[\"new\",\"old\"] --quiet"));
  EXPECT_TRUE(contains(log("background"), "--checkpoint " + seed + "/pretrain/checkpoint --data " +
                                              seed + "/data --seed 4 --quiet --device cpu"));
  EXPECT_TRUE(contains(log("smf_adam-t32-lr0.05"),
                       "--method smf --optimizer adam --rows 32 --learning-rate 0.05 --seed 4 "
                       "--out " +
                           seed + "/smf_adam-t32-lr0.05"));
  EXPECT_TRUE(contains(log("full-lr1e-4"), "--method full --learning-rate 0.0001 --seed 4"));
  EXPECT_TRUE(contains(log("full-lr1e-4"),
                       "--set evaluate.questions=[\"new\",\"old\"] --quiet --no-checkpoint"));

  const SweepResults results = read_sweep_results(plan_, setup_.out);
  const ParetoAnalysis analysis = analyse(plan_, results);
  const json summary = summary_json(plan_, results, analysis, {{"slotwise", "1.2"}});
  EXPECT_EQ(summary["versions"]["slotwise"], "1.2");
  EXPECT_EQ(summary["preset"], "test");
  EXPECT_EQ(summary["memory_off_drop"]["per_seed"], json({0.5, 0.5}));
  const json& sparse = summary["methods"]["smf_adam"];
  EXPECT_EQ(sparse["setting"], json({{"learning_rate", 0.05}, {"rows", 32}}));
  EXPECT_EQ(sparse["seeds"], json({0, 4}));
  EXPECT_NEAR(sparse["relative_drop_at_matched"]["mean"].get<double>(), 0.25, 1e-12);
  EXPECT_EQ(sparse["text_loss_rise_at_matched"]["per_seed"], json({0.5, 0.5}));
  EXPECT_EQ(sparse["reached"]["mean"], 1.0);
  EXPECT_EQ(sparse["seconds"], 4.0);
  const std::string csv = runs_csv(plan_, results, analysis);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 1 + 4 * 2);
  EXPECT_TRUE(contains(csv, "smf_adam,4,0.05,32,0,1,20,0.9,0.9,0.9,0.6,0.6,0.6,2.5,64,1,2\n"));
}

TEST_F(ParetoSweepTest, TheMeasureNamesItsColumnsAndChoosesItsScores) {
  json by_f1 = settings();
  by_f1["evaluate"]["measure"] = "f1";
  ASSERT_FALSE(sweep(by_f1).failure);
  const SweepResults results = read_sweep_results(plan_, setup_.out);
  EXPECT_EQ(results.pretrain[0].heldout.all, 1.0);
  EXPECT_EQ(results.pretrain[0].heldout.half1, 0.8);
  const ParetoAnalysis analysis = analyse(plan_, results);
  const std::string csv = runs_csv(plan_, results, analysis);
  EXPECT_TRUE(contains(csv, ",step,target_f1,target_f1_half0,target_f1_half1,heldout_f1,"));
  EXPECT_TRUE(contains(csv, "smf_adam,4,0.05,32,0,1,20,0.95,0.9,0.9,0.95,0.6,0.6,2.5,64,1,2\n"));
  EXPECT_EQ(summary_json(plan_, results, analysis, {})["measure"], "f1");
}

TEST_F(ParetoSweepTest, BackgroundsAndOverridesReachTheirPrograms) {
  json tree = settings();
  tree["pareto"]["backgrounds"] = {{{"name", "text"}, {"parts", {"text"}}},
                                   {{"name", "single"}, {"settings", {{"batch", 1}}}}};
  json sparse = tree["pareto"]["methods"][1];
  sparse["name"] = "smf_text";
  sparse["overrides"] = {{"finetune.background", "text"}, {"finetune.rule", "df"}};
  tree["pareto"]["methods"].push_back(sparse);
  ASSERT_FALSE(sweep(tree).failure);
  EXPECT_TRUE(
      contains(log("background.text"), "--quiet --name text --parts text --device cpu threads 1"));
  EXPECT_TRUE(contains(log("background.single"), "--name single --set background.batch=1"));
  EXPECT_TRUE(contains(log("smf_text-t32-lr0.05"),
                       "--set evaluate.questions=[\"new\",\"old\"] --set "
                       "finetune.background=\"text\" --set finetune.rule=\"df\" --quiet"));
  EXPECT_FALSE(contains(log("smf_adam-t32-lr0.05"), "finetune.background"));
  const auto job = [&](const std::string& name) {
    const auto found =
        std::find_if(jobs_.begin(), jobs_.end(), [&](auto& each) { return each.name == name; });
    return static_cast<std::size_t>(found - jobs_.begin());
  };
  EXPECT_EQ(jobs_.at(job("seed-4/smf_text-t32-lr0.05")).after,
            std::vector<std::size_t>{job("seed-4/background.text")});
  EXPECT_EQ(jobs_.at(job("seed-4/smf_adam-t32-lr0.05")).after,
            std::vector<std::size_t>{job("seed-4/background")});

  // What a kept run was made with may not change under it.
  const json before = stored(tree)["settings"];
  json other = before;
  other["pareto"]["methods"][2]["overrides"]["finetune.rule"] = "kl";
  EXPECT_TRUE(contains(user_error_of([&] { refuse_other_sweep(setup_.out, before, other); }),
                       "pareto.methods.smf_text.overrides.finetune.rule"));
  other = before;
  other["pareto"]["backgrounds"][0]["parts"] = {"more"};
  EXPECT_TRUE(contains(user_error_of([&] { refuse_other_sweep(setup_.out, before, other); }),
                       "pareto.backgrounds.text.parts"));
}

// Without smf no background is made, and without a memory nothing is said of it.
TEST_F(ParetoSweepTest, AModelWithoutMemoryIsCompared) {
  std::string plain = kPretrain;
  const std::string off = ",\n\\\"evaluation_memory_off\\\":$(s 0.4)";
  plain.erase(plain.find(off), off.size());
  ASSERT_FALSE(contains(plain, "memory_off"));
  script("pretrain", plain);
  script("background", "exit 1");
  json tree = settings();
  tree["pareto"]["methods"].erase(1);
  ASSERT_FALSE(sweep(tree).failure);
  EXPECT_EQ(jobs_.size(), 6u);
  const SweepResults results = read_sweep_results(plan_, setup_.out);
  const ParetoAnalysis analysis = analyse(plan_, results);
  EXPECT_FALSE(analysis.memory_off_drop.mean);
  EXPECT_FALSE(contains(html_report(plan_, results, analysis, {}), "memory switched off, the"));
}

TEST_F(ParetoSweepTest, ModelsAreKeptOnRequest) {
  setup_.keep_checkpoints = true;
  ASSERT_FALSE(sweep(settings()).failure);
  EXPECT_FALSE(contains(log("full-lr1e-4"), "--no-checkpoint"));
}

TEST_F(ParetoSweepTest, FinishedRunsAreNotStartedAgain) {
  ASSERT_FALSE(sweep(settings()).failure);
  std::filesystem::remove(setup_.out / "seed-4/full-lr1e-4/result.json");
  script("pretrain", "exit 1");
  const json more = longer_settings();
  ASSERT_FALSE(sweep(more).failure);
  const auto kept =
      std::count_if(jobs_.begin(), jobs_.end(), [](auto& job) { return job.finished; });
  EXPECT_EQ(kept, 9);
  EXPECT_NO_THROW(read_sweep_results(plan_, setup_.out));
  // A dataset that is gone is made again, and everything that came from it.
  std::filesystem::remove(setup_.out / "seed-0/data/prepare.json");
  EXPECT_TRUE(sweep(more).failure);
}

TEST_F(ParetoSweepTest, PretrainedModelsAreTakenFromAnotherSweep) {
  { const SweepFolder first(setup_.out, stored(settings()), false); }
  ASSERT_FALSE(sweep(settings()).failure);
  const std::filesystem::path from = setup_.out;
  setup_.out = folder_ / "second";
  json other = settings();
  other["finetune"]["steps"] = 30;
  { const SweepFolder second(setup_.out, stored(other), false); }
  const auto take = [&](const json& tree) {
    check_pretrained(from, setup_.out, plan_, tree);
    take_pretrained(from, setup_.out, plan_);
  };
  take(other);
  EXPECT_TRUE(background_files(setup_.out / "seed-4/pretrain/checkpoint").empty());
  script("pretrain", "exit 1");  // not run again
  ASSERT_FALSE(sweep(other).failure);
  const json versions = versions_of_results(setup_.out);
  EXPECT_EQ(versions["pretrained"]["from"], from.string());
  EXPECT_EQ(versions["pretrained"]["versions"], read_sweep_settings(from)["versions"]);

  // What is there stays as it is; another world, and a seed that is not there, are refused.
  std::filesystem::remove_all(from / "seed-4");
  take(other);
  std::filesystem::remove_all(setup_.out / "seed-4");
  EXPECT_TRUE(contains(user_error_of([&] { take(other); }), "no finished pretraining of seed 4"));
  other["model"] = {{"hidden_size", 8}};
  EXPECT_TRUE(contains(user_error_of([&] { take(other); }), "other settings of [model]"));
  { const SweepFolder again(setup_.out, stored(settings()), true); }
  EXPECT_FALSE(versions_of_results(setup_.out).contains("pretrained"));
}

TEST_F(ParetoSweepTest, FailureIsToldWithTheEndOfItsLog) {
  json odd = settings();
  odd["pareto"]["methods"][0]["settings"][0]["learning_rate"] = 0.66;
  const PoolOutcome outcome = sweep(odd);
  ASSERT_TRUE(outcome.failure);
  const std::string text = failure_text(jobs_[outcome.failure->job], outcome.failure->reason);
  EXPECT_TRUE(contains(text, "full-lr0.66 failed (exit code 1); its log is ")) << text;
  EXPECT_TRUE(contains(text, "first line\n  the rate is odd")) << text;
  EXPECT_TRUE(
      contains(user_error_of([&] { read_sweep_results(plan_, setup_.out); }), "is not finished"));
}

TEST_F(ParetoSweepTest, BrokenResultIsNamed) {
  ASSERT_FALSE(sweep(settings()).failure);
  write_file_atomically(setup_.out / "seed-0/pretrain/result.json", "{\"finished\":true}");
  EXPECT_TRUE(contains(user_error_of([&] { read_sweep_results(plan_, setup_.out); }),
                       "seed-0/pretrain/result.json is not a result of this version"));
}

TEST_F(ParetoSweepTest, FolderIsKeptForOneSweep) {
  { const SweepFolder first(setup_.out, stored(settings()), false); }
  json more = longer_settings();
  more["pareto"]["seeds"] = {0, 1, 2};
  more["pareto"]["matched_target"] = 0.5;
  { const SweepFolder again(setup_.out, stored(more), false); }
  EXPECT_EQ(read_sweep_settings(setup_.out)["seeds"], json({0, 1, 2}));

  json other = settings();
  other["finetune"]["steps"] = 30;
  EXPECT_TRUE(
      contains(user_error_of([&] { const SweepFolder refused(setup_.out, stored(other), false); }),
               "finetune.steps is 20 there and 30 now"));
  other = settings();
  other["pareto"]["methods"][1]["optimizer"] = "sgd";
  EXPECT_TRUE(
      contains(user_error_of([&] { const SweepFolder refused(setup_.out, stored(other), false); }),
               "pareto.methods.smf_adam.optimizer"));
  const SweepFolder held(setup_.out, stored(settings()), false);
  EXPECT_TRUE(contains(
      user_error_of([&] { const SweepFolder second(setup_.out, stored(settings()), false); }),
      "another slotwise-pareto is at work"));
}

TEST_F(ParetoSweepTest, ResultsOfAnotherBuildAreNotGoneOnWith) {
  { const SweepFolder first(setup_.out, stored(settings()), false); }
  const json versions = read_sweep_settings(setup_.out)["versions"];
  for (const char* key : {"slotwise", "commit", "compiler", "architecture", "gemm", "programs"}) {
    EXPECT_FALSE(versions[key].get<std::string>().empty()) << key;
  }
  { const SweepFolder same(setup_.out, stored(settings()), false); }
  script("finetune", "echo built anew");
  EXPECT_TRUE(contains(
      user_error_of([&] { const SweepFolder refused(setup_.out, stored(settings()), false); }),
      "results of another build of Slotwise (its programs have been built anew"));
  EXPECT_EQ(read_sweep_settings(setup_.out)["versions"], versions);
  { const SweepFolder fresh(setup_.out, stored(settings()), true); }
  EXPECT_NE(read_sweep_settings(setup_.out)["versions"], versions);
  std::filesystem::remove(setup_.programs / "slotwise-pretrain");
  EXPECT_TRUE(contains(user_error_of([&] { stored(settings()); }), "slotwise-pretrain is missing"));
}

TEST_F(ParetoSweepTest, BuildsAreToldApartByWhatAPersonKnows) {
  const json there = {{"programs", "a"}, {"gemm", "g"}, {"commit", "1"}, {"processor", "p"}};
  json now = there;
  now["processor"] = "q";
  now["commit"] = "2";
  EXPECT_EQ(other_build(there, now), "");  // the same programs
  now["programs"] = "b";
  EXPECT_EQ(other_build(there, now), "commit is 1 there and 2 now");
  EXPECT_EQ(other_build(json::object(), now), "commit is not recorded there and 2 now");
}

TEST_F(ParetoSweepTest, FreshDeletesOnlyWhatASweepMakes) {
  { const SweepFolder first(setup_.out, stored(settings()), false); }
  ASSERT_FALSE(sweep(settings()).failure);
  for (const char* name : {"runs.csv", "report.html", "notes.txt"}) {
    write_file_atomically(setup_.out / name, "x");
  }
  create_folder(setup_.out / "seed-plans");
  json other = settings();
  other["finetune"]["steps"] = 30;
  { const SweepFolder fresh(setup_.out, stored(other), true); }
  for (const char* name : {"seed-0", "seed-4", "runs.csv", "report.html"}) {
    EXPECT_FALSE(std::filesystem::exists(setup_.out / name)) << name;
  }
  EXPECT_TRUE(std::filesystem::exists(setup_.out / "notes.txt"));
  EXPECT_TRUE(std::filesystem::exists(setup_.out / "seed-plans"));
}

TEST_F(ParetoSweepTest, RefusesAFolderOfSomethingElse) {
  create_folder(setup_.out);
  write_file_atomically(setup_.out / "thesis.txt", "x");
  for (const bool fresh : {false, true}) {
    EXPECT_TRUE(contains(
        user_error_of([&] { const SweepFolder refused(setup_.out, stored(settings()), fresh); }),
        "is not empty and holds no sweep"));
  }
  write_file_atomically(setup_.out / "settings.json", "{\"my\": 1}");
  EXPECT_TRUE(contains(user_error_of([&] { read_sweep_settings(setup_.out); }),
                       "was not written by slotwise-pareto"));
}

}  // namespace
}  // namespace slotwise
