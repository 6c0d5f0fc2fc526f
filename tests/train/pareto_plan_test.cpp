#include "train/pareto_plan.h"

#include <nlohmann/json.hpp>

#include "tests/data/temporary_folder.h"
#include "tests/train/tiny_world.h"
#include "train/model_config.h"
#include "train/pareto_backgrounds.h"
#include "train/pareto_methods.h"

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

TEST(ParetoPlan, EveryPresetCanBeRead) {
  for (const std::string& preset : Options::preset_names()) {
    const Options options = Options::from_preset(preset);
    const ParetoPlan plan = read_pareto_plan(options, {});
    EXPECT_EQ(plan.name, preset);
    EXPECT_EQ(model_config_from(options, 512).memory.present(), true) << preset;
    EXPECT_NO_THROW(check_methods(plan, options)) << preset;
  }
}

TEST(ParetoMethods, WhatAFinetuningRunWouldRefuseIsFoundBefore) {
  const Options options = Options::from_preset("smoke");
  ParetoPlan plan = read_pareto_plan(options, {});
  plan.methods.back().overrides = {"finetune.facts=0"};
  const std::string refused = user_error_of([&] { check_methods(plan, options); });
  EXPECT_TRUE(contains(refused, "pareto.methods, " + plan.methods.back().name + ": ")) << refused;
  EXPECT_TRUE(contains(refused, "'finetune.facts' must be from 1")) << refused;
}

TEST(ParetoPlan, MethodsMayOverrideSettingsAndNameBackgrounds) {
  json sparse = {
      {"name", "kl_text"},
      {"method", "smf"},
      {"optimizer", "adam"},
      {"settings", {{{"learning_rate", 0.05}, {"rows", 8}}}},
      {"overrides",
       {{"finetune.rule", "kl"}, {"finetune.background", "text"}, {"finetune.facts", 1}}}};
  json settings = tree(json::array({kFull, sparse}));
  settings["background"] = {{"batches", 500}, {"batch", 36}};
  json counted = sparse;
  counted["method"] = "tf";
  EXPECT_TRUE(contains(refusal(tree(json::array({kFull, counted}))),
                       "the method tf does not use finetune.rule"));
  counted["overrides"] = {{"finetune.clip", 0.5}};
  EXPECT_TRUE(contains(refusal(tree(json::array({kFull, counted}))),
                       "the method tf does not use finetune.clip"));
  EXPECT_TRUE(contains(refusal(settings), "there is no background 'text'"));
  settings["pareto"]["backgrounds"] = {{{"name", "text"}, {"parts", {"text", "more"}}},
                                       {{"name", "single"}, {"settings", {{"batch", 1}}}},
                                       {{"name", "new"}, {"facts", true}},
                                       {{"name", "old"}, {"questions", "old"}}};
  const ParetoPlan plan = read_pareto_plan(Options::from_json(settings), {});
  EXPECT_EQ(plan.methods[0].background, "");
  EXPECT_TRUE(plan.methods[0].overrides.empty());
  EXPECT_EQ(plan.methods[1].background, "text");
  EXPECT_EQ(plan.methods[1].overrides,
            (std::vector<std::string>{"finetune.background=\"text\"", "finetune.facts=1",
                                      "finetune.rule=\"kl\""}));
  using Words = std::vector<std::string>;
  ASSERT_EQ(plan.backgrounds.size(), 4u);
  EXPECT_EQ(plan.backgrounds[0].arguments,
            (Words{"--name", "text", "--parts", "text", "--parts", "more"}));
  EXPECT_EQ(plan.backgrounds[0].passes, 500 * 36);
  EXPECT_EQ(plan.backgrounds[1].arguments,
            (Words{"--name", "single", "--set", "background.batch=1"}));
  EXPECT_EQ(plan.backgrounds[1].passes, 500);
  EXPECT_EQ(plan.backgrounds[2].arguments, (Words{"--name", "new", "--facts"}));
  EXPECT_EQ(plan.backgrounds[3].arguments, (Words{"--name", "old", "--questions", "old"}));

  json wrong = settings;
  wrong["pareto"]["methods"][1]["overrides"] = {{"evaluate.batch", 1}};
  EXPECT_TRUE(contains(refusal(wrong), "an override sets one value of [finetune]"));
  wrong = settings;
  wrong["pareto"]["backgrounds"][1]["name"] = "text";
  EXPECT_TRUE(contains(refusal(wrong), "the name 'text' stands twice"));
  wrong = settings;
  wrong["pareto"]["backgrounds"][0]["part"] = "x";
  EXPECT_TRUE(contains(refusal(wrong), "unknown key 'part'"));
  wrong = settings;
  wrong["pareto"]["backgrounds"][0]["parts"] = "text";
  EXPECT_TRUE(contains(refusal(wrong), "'parts' must be a list of names"));
}

TEST(ParetoBackgrounds, NamesAreThoseOfTheDatasets) {
  const DatasetNames made = names_in(testing::tiny_world().data);
  const DatasetNames known = names_to_be_made(Options::from_file(testing::tiny_world().settings));
  EXPECT_EQ(known.parts, made.parts);
  EXPECT_EQ(known.questions, made.questions);
  EXPECT_EQ(known.facts, made.facts);
  const json settings = {{"data", {{"kind", "biogarphies"}}}};
  EXPECT_TRUE(contains(user_error_of([&] { names_to_be_made(Options::from_json(settings)); }),
                       "got 'biogarphies'"));
}

TEST(ParetoBackgrounds, ThoseOfThePresetsAreGood) {
  for (const std::string& name : Options::preset_names()) {
    const Options options = Options::from_preset(name);
    if (options.has("pareto")) check_backgrounds(options, {""});
  }
}

// What was pretrained for one of the two serves the other.
TEST(ParetoPlan, AblationsVaryTheFinetuningAlone) {
  for (const auto& [name, base] :
       {std::pair("ablations", "biographies"), std::pair("facts-ablations", "facts")}) {
    const Options options = Options::from_preset(name), of_base = Options::from_preset(base);
    const ParetoPlan plan = read_pareto_plan(options, {});
    EXPECT_EQ(plan.name, name);
    for (const char* section : {"data", "model", "memory", "pretrain", "background", "finetune"}) {
      EXPECT_EQ(options.tree(section), of_base.tree(section)) << name << " " << section;
    }
    EXPECT_FALSE(options.has("extends"));
    EXPECT_GE(plan.methods.size(), 20u);
    EXPECT_FALSE(plan.backgrounds.empty());
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
  settings["evaluate"]["limit"] = 1;
  EXPECT_TRUE(contains(refusal(settings), "evaluate.limit must be 0 or at least 2"));
  settings = tree(json::array({kFull}));
  settings["pareto"]["seed"] = 1;
  EXPECT_TRUE(contains(refusal(settings), "pareto.seed"));
}

}  // namespace
}  // namespace slotwise
