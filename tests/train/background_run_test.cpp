// slotwise-background over other corpora than the pretraining mixture, several backgrounds in one
// checkpoint, and the choice among them; and the rules that finetuning ranks by.
#include "memory/background_usage.h"
#include "tests/train/bad_input.h"

namespace slotwise::testing {
namespace {

class BackgroundRun : public BadInput {
 protected:
  Words command(const Words& more = {}) const {
    return Words{"--config", world().settings, "--checkpoint", checkpoint_, "--data", data_} + more;
  }
  fs::path file(const std::string& name) const { return background_path(checkpoint_, name); }
  std::vector<std::int32_t> df(const std::string& name) const {
    return load_background(file(name)).tables.at(0).df.to_vector<std::int32_t>();
  }
  Words smf(const std::string& out, const Words& more) const {
    return world().finetune(folder_ / out, "smf") + more;
  }
  std::string model(const std::string& out) const {
    return read_file(folder_ / out / "checkpoint/model.safetensors");
  }
};

TEST_F(BackgroundRun, CorporaStandBesideEachOther) {
  const std::string plain = read_file(file(""));
  run_well("background", command({"--name", "text", "--parts", "text"}));
  run_well("background", command({"--name", "old", "--parts", "old_statements,old_questions",
                                  "--set", "background.batch=3"}));
  run_well("background", command({"--name", "facts", "--facts"}));
  run_well("background", command({"--name", "asked", "--questions", "old"}));
  EXPECT_EQ(read_file(file("")), plain);
  const std::vector<std::string> names = {"", "text", "old", "facts", "asked"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(df(names[i]), df(names[j])) << i << " " << j;
  }
  EXPECT_EQ(load_background(file("old")).batch_rows, 3);
  EXPECT_EQ(background_files(checkpoint_).size(), 5u);
  const Finished shown = run_well("inspect", {"--checkpoint", checkpoint_});
  EXPECT_TRUE(contains(shown.out, "background.facts.safetensors: 8 batches of 8 rows"))
      << shown.out;

  // The same again is nothing to do; another corpus under the same name is refused.
  const std::string facts = read_file(file("facts"));
  EXPECT_TRUE(contains(run_well("background", command({"--name", "facts", "--facts"})).out,
                       "is up to date"));
  refuses("background", command({"--name", "facts"}), {"counted with other settings or data"});
  run_well("background", command({"--name", "facts", "--fresh", "--facts"}));
  EXPECT_EQ(read_file(file("facts")), facts);
}

TEST_F(BackgroundRun, FactsAreReadByTheBatchesThatDrawThem) {
  // With batches of so many rows that every wording is drawn, a slot is read in all or in none.
  run_well("background", command({"--name", "facts", "--facts", "--set", "background.batch=4000",
                                  "--set", "background.batches=2"}));
  for (const std::int32_t count : df("facts")) EXPECT_TRUE(count == 0 || count == 2) << count;
}

TEST_F(BackgroundRun, RefusesWhatTheDataLacks) {
  refuses("background", command({"--name", "x", "--parts", "text,poems"}),
          {"has no part 'poems'", "old_statements, old_questions, text"});
  refuses("background", command({"--name", "x", "--questions", "nq"}), {"no questions \"nq\""});
  refuses("background", command({"--facts", "--fresh"}), {"needs a name of its own", "--name"});
  refuses("background", command({"--name", "../x"}), {"the name of a background has letters"});
  refuses("background", command({"--facts", "--parts", "text"}), {"excludes"}, 2);
}

TEST_F(BackgroundRun, FinetuningTakesTheOneItIsTold) {
  refuses("finetune", smf("out", {"--set", "finetune.background=text"}),
          {"background.text.safetensors", "--name text"});
  run_well("background", command({"--name", "text", "--parts", "text"}));
  run_well("finetune", smf("plain", {}));
  run_well("finetune", smf("text", {"--set", "finetune.background=text"}));
  EXPECT_NE(model("plain"), model("text"));
  // All of them come along with the finetuned model.
  EXPECT_EQ(background_files(folder_ / "text/checkpoint").size(), 2u);
  // A run goes on with the background that it began with.
  run_well("finetune", smf("half", {"--set", "finetune.background=text", "--stop-after", "5"}));
  run_well("background", command({"--name", "text", "--parts", "text", "--fresh", "--seed", "9"}));
  refuses("finetune", smf("half", {"--set", "finetune.background=text"}),
          {"holds a run with other settings (background was"});
}

TEST_F(BackgroundRun, ComesAlongOnlyWhereLookupsStayed) {
  run_well("finetune", world().finetune(folder_ / "full", "full"));
  const fs::path full = folder_ / "full/checkpoint";
  EXPECT_TRUE(background_files(full).empty());
  EXPECT_TRUE(contains(run_well("inspect", {"--checkpoint", full}).out, "background  none"));
  // One that was copied there by hand is named, and the rest is shown all the same.
  fs::copy_file(file(""), background_path(full, ""));
  const Finished shown = run_well("inspect", {"--checkpoint", full, "--tensors"});
  EXPECT_TRUE(contains(shown.out, "background.safetensors: the background belongs to another"))
      << shown.out;
  EXPECT_TRUE(contains(shown.out, "model.embed_tokens.weight")) << shown.out;
  fs::remove(background_path(full, ""));
  run_well("background", {"--config", world().settings, "--checkpoint", full, "--data", data_});
  EXPECT_EQ(background_files(full).size(), 1u);
}

TEST_F(BackgroundRun, SettingsWithoutEffectAreNamed) {
  const Words set = {"--set", "finetune.weight_decay=0.5", "--set", "finetune.row_clip=1"};
  const auto finetuned = [&](const std::string& method) {
    const Finished done = run_well("finetune", world().finetune(folder_ / method, method) + set);
    return std::pair(
        done.error,
        json::parse(read_file(folder_ / method / "result.json")).at("optimizer_settings"));
  };
  const auto [sparse, sparse_settings] = finetuned("smf");
  EXPECT_EQ(sparse, "warning: --method smf does not use finetune.weight_decay; it has no effect\n");
  EXPECT_EQ(sparse_settings.at("clip"), 1.0);
  const auto [full, full_settings] = finetuned("full");
  EXPECT_EQ(full, "warning: --method full does not use finetune.row_clip; it has no effect\n");
  EXPECT_EQ(full_settings.at("weight_decay"), 0.5);
  const auto [adapters, adapter_settings] = finetuned("lora");
  EXPECT_TRUE(contains(adapters, "lora does not use finetune.weight_decay")) << adapters;
  EXPECT_EQ(adapter_settings.at("weight_decay"), 0.0);
}

TEST_F(BackgroundRun, RulesRankDifferently) {
  const std::vector<Words> rules = {{},
                                    {"--set", "finetune.rule=kl"},
                                    {"--set", "finetune.rule=df"},
                                    {"--set", "finetune.rule=idf_power"},
                                    {"--set", "finetune.per_sequence=true"},
                                    {"--set", "finetune.written_weight=4"}};
  std::vector<std::string> models;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const std::string out = "rule" + std::to_string(i);
    run_well("finetune", smf(out, rules[i]));
    models.push_back(model(out));
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(models[i], models[j]) << i << " " << j;
  }
  run_well("finetune",
           smf("first", {"--set", "finetune.rule=idf_power", "--set", "finetune.idf_power=1"}));
  EXPECT_EQ(model("first"), models[0]);
  refuses("finetune", smf("out", {"--set", "finetune.rule=tfidf"}),
          {"finetune.rule must be one of tf_idf, kl, df, idf_power; got 'tfidf'"});
  refuses("finetune", smf("out", {"--set", "finetune.idf_power=0"}), {"finetune.idf_power"});
  refuses("finetune", smf("out", {"--set", "finetune.idf_power=2"}),
          {"finetune.idf_power belongs to finetune.rule"});
  refuses("finetune", smf("out", {"--set", "finetune.written_weight=70000"}),
          {"finetune.written_weight must be at most 65536"});
}

TEST_F(BackgroundRun, SettingsMayExtendAPreset) {
  const auto file = folder_.write("mine.toml",
                                  "extends = \"smoke\"\nname = \"mine\"\n[data]\ntext_sentences = "
                                  "50\nfully_questioned_people = 4\nold_people = 8\n");
  run_well("prepare", {"--config", file, "--out", folder_ / "mine"});
  const json made = json::parse(read_file(folder_ / "mine/dataset.json")).at("options");
  EXPECT_EQ(made.at("text_sentences"), 50);
  EXPECT_EQ(made.at("first_names"), 16);  // the preset's
  overwrite(file, "extends = \"nothing\"\n");
  refuses("prepare", {"--config", file, "--out", out_}, {"there is no preset 'nothing'"});
}

}  // namespace
}  // namespace slotwise::testing
