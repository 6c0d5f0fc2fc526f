#include "train/pareto_plan.h"

#include <nlohmann/json.hpp>

#include "tests/data/temporary_folder.h"

namespace slotwise {
namespace {

using nlohmann::json;

json tree(const json& methods) {
  return {{"name", "test"},
          {"evaluate", {{"target", "new"}, {"heldout", "old"}}},
          {"pareto", {{"seeds", {0, 1}}, {"matched_target", 0.9}, {"methods", methods}}}};
}

std::string refusal(const json& settings, const std::vector<std::int64_t>& seeds = {}) {
  return user_error_of([&] { read_pareto_plan(Options::from_json(settings), seeds); });
}

const json kFull = {
    {"name", "full"}, {"method", "full"}, {"settings", {{{"learning_rate", 1e-4}}}}};

TEST(ParetoPlan, EveryPresetHasTheSixMethodsWithEqualNumbersOfSettings) {
  for (const char* preset : {"biographies", "smoke", "wordnet"}) {
    const ParetoPlan plan = read_pareto_plan(Options::from_preset(preset), {});
    EXPECT_EQ(plan.name, preset);
    std::vector<std::string> names;
    for (const ParetoMethod& method : plan.methods) {
      names.push_back(method.name);
      EXPECT_EQ(method.settings.size(), plan.methods[0].settings.size());
    }
    EXPECT_EQ(names,
              (std::vector<std::string>{"full", "lora", "all_rows", "tf", "smf_adam", "smf_sgd"}));
  }
}

TEST(ParetoPlan, LabelsAreShortAndTellSettingsApart) {
  EXPECT_EQ(short_label({1e-4}), "lr1e-4");
  EXPECT_EQ(short_label({0.00025}), "lr2.5e-4");
  EXPECT_EQ(short_label({.learning_rate = 0.05, .rows = 256}), "t256-lr0.05");
  EXPECT_EQ(short_label({.learning_rate = 50, .rank = 8}), "r8-lr50");
  EXPECT_EQ(long_label({.learning_rate = 0.05, .rows = 256}), "t 256, rate 0.05");
  EXPECT_NE(short_label({0.1}), short_label({0.10000001}));
}

TEST(ParetoPlan, SeedsCanBeReplaced) {
  const ParetoPlan plan = read_pareto_plan(Options::from_json(tree(json::array({kFull}))), {7});
  EXPECT_EQ(plan.seeds, std::vector<std::int64_t>{7});
  EXPECT_TRUE(contains(refusal(tree(json::array({kFull})), {1, 1}), "the seeds must differ"));
}

TEST(ParetoPlan, RefusesWithTheNameOfTheKey) {
  json method = kFull;
  method["methd"] = 1;
  EXPECT_TRUE(contains(refusal(tree(json::array({method}))), "unknown key 'methd'"));
  method = kFull;
  method["settings"][0]["rows"] = 5;
  EXPECT_TRUE(contains(refusal(tree(json::array({method}))), "the method has no 'rows'"));
  method = kFull;
  method["method"] = "smf";
  EXPECT_TRUE(contains(refusal(tree(json::array({method}))), "'rows' is missing"));
  method["method"] = "magic";
  EXPECT_TRUE(contains(refusal(tree(json::array({method}))), "got 'magic'"));
  method = kFull;
  method["settings"][0]["learning_rate"] = -1;
  EXPECT_TRUE(
      contains(refusal(tree(json::array({method}))), "'learning_rate' must be a positive number"));
  method = kFull;
  method["settings"].push_back(method["settings"][0]);
  EXPECT_TRUE(contains(refusal(tree(json::array({method}))), "stands twice"));
  method = kFull;
  method["name"] = "../full";
  EXPECT_TRUE(contains(refusal(tree(json::array({method}))), "letters, digits and '_'"));
  EXPECT_TRUE(contains(refusal(tree(json::array({kFull, kFull}))), "the name 'full' stands twice"));
  EXPECT_TRUE(contains(refusal(tree(json::array())), "no method to run"));
  json second = kFull;
  second["name"] = "other";
  second["settings"].push_back({{"learning_rate", 1e-3}});
  EXPECT_TRUE(contains(refusal(tree(json::array({kFull, second}))), "full has 1 and other has 2"));
  json settings = tree(json::array({kFull}));
  settings["pareto"]["matched_target"] = 1.5;
  EXPECT_TRUE(contains(refusal(settings), "matched_target must be in (0, 1]"));
  settings = tree(json::array({kFull}));
  settings["pareto"]["seed"] = 1;
  EXPECT_TRUE(contains(refusal(settings), "pareto.seed"));
}

}  // namespace
}  // namespace slotwise
