#include "train/pareto_summary.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "train/pareto_sweep.h"

namespace slotwise {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

PromptScores read_scores(const ParetoPlan& plan, const json& evaluation,
                         const std::string& questions) {
  const json& scores = evaluation.at("questions").at(questions);
  if (!scores.contains("half0") && scores.value("count", 0) > 1) {
    user_error("the scores of '{}' come from an earlier version; make them again with --fresh",
               questions);
  }
  if (!scores.contains("half0")) {
    user_error("the set '{}' needs at least two questions: one half chooses settings, one reports",
               questions);
  }
  return {.all = scores.at(key_of(plan.measure)).get<double>(),
          .half0 = scores.at("half0").get<double>(),
          .half1 = scores.at("half1").get<double>()};
}

json read_result(const fs::path& folder) {
  const fs::path path = folder / "result.json";
  if (!fs::exists(path)) {
    user_error("the run {} is not finished; the same command without --report-only finishes it",
               folder.string());
  }
  return json::parse(read_file(path));
}

// `read` fills from a result; what is wrong with a file is said with its name.
template <class Read>
void with_result(const fs::path& folder, Read&& read) {
  try {
    const json result = read_result(folder);
    if (!result.at("finished").get<bool>())
      user_error("the run {} is not finished", folder.string());
    read(result);
  } catch (const json::exception& error) {
    user_error("{} is not a result of this version ({}); use --fresh to run the sweep anew",
               (folder / "result.json").string(), error.what());
  }
}

PretrainRun read_pretrain(const ParetoPlan& plan, const fs::path& folder) {
  PretrainRun run;
  with_result(folder, [&](const json& result) {
    run.heldout = read_scores(plan, result.at("evaluation"), plan.heldout);
    if (result.contains("evaluation_memory_off")) {
      run.heldout_memory_off = read_scores(plan, result.at("evaluation_memory_off"), plan.heldout);
    }
    const json& questions = result.at("evaluation").at("questions");
    run.target_prompts = questions.at(plan.target).at("count").get<std::int64_t>();
    run.heldout_prompts = questions.at(plan.heldout).at("count").get<std::int64_t>();
    run.text_loss = result.at("evaluation").at("text_loss").get<double>();
    run.seconds = result.at("seconds").get<double>();
    run.steps = result.at("steps").get<std::int64_t>();
    run.parameters = result.at("parameters").get<std::int64_t>();
  });
  return run;
}

void read_finetune(const ParetoPlan& plan, const fs::path& folder, FinetuneRun& run) {
  with_result(folder, [&](const json& result) {
    run.seconds = result.at("seconds").get<double>();
    run.trainable_per_batch = result.at("trainable_per_batch").get<std::int64_t>();
    run.rows_touched = result.at("rows_touched").get<std::int64_t>();
    for (const json& evaluation : result.at("evaluations")) {
      run.checkpoints.push_back({.step = evaluation.at("step").get<std::int64_t>(),
                                 .target = read_scores(plan, evaluation, plan.target),
                                 .heldout = read_scores(plan, evaluation, plan.heldout),
                                 .text_loss = evaluation.at("text_loss").get<double>()});
    }
  });
  const auto& checkpoints = run.checkpoints;
  if (checkpoints.size() < 2 || checkpoints.front().step != 0) {
    user_error("{} must hold evaluations from step 0 on, at least two",
               (folder / "result.json").string());
  }
}

ordered_json number_or_null(const std::optional<double>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

ordered_json to_json(const Statistic& statistic) {
  ordered_json per_seed = ordered_json::array();
  for (const auto& value : statistic.per_seed) per_seed.push_back(number_or_null(value));
  return {{"mean", number_or_null(statistic.mean)},
          {"sd", number_or_null(statistic.sd)},
          {"per_seed", per_seed}};
}

ordered_json to_json(const ParetoSetting& setting) {
  ordered_json out = {{"learning_rate", setting.learning_rate}};
  if (setting.rows > 0) out["rows"] = setting.rows;
  if (setting.rank > 0) out["rank"] = setting.rank;
  return out;
}

ordered_json to_json(const ParetoPlan& plan, const ParetoMethod& method,
                     const MethodSummary& summary) {
  ordered_json tried = ordered_json::array();
  for (std::size_t i = 0; i < method.settings.size(); ++i) {
    ordered_json entry = to_json(method.settings[i]);
    const SettingScore& score = summary.scores[i];
    entry["choosing_half"] = {
        {"seeds_reached", score.seeds_reached},
        {"relative_drop_at_matched", number_or_null(score.drop_at_matched.mean)},
        {"target_at_end", score.target_at_end},
        {"relative_drop_at_end", number_or_null(score.drop_at_end)}};
    tried.push_back(entry);
  }
  return {{"method", method.method},
          {"optimizer", method.optimizer},
          {"setting", to_json(method.settings[summary.setting])},
          {"seeds", plan.seeds},
          {"reached", to_json(summary.reached)},
          {"step_at_matched", to_json(summary.step_at_matched)},
          {"target_at_matched", to_json(summary.target_at_matched)},
          {"target_at_end", to_json(summary.target_at_end)},
          {"relative_drop_at_matched", to_json(summary.drop_at_matched)},
          {"relative_drop_at_end", to_json(summary.drop_at_end)},
          {"text_loss_rise_at_matched", to_json(summary.text_rise_at_matched)},
          {"text_loss_rise_at_end", to_json(summary.text_rise_at_end)},
          {"relative_drop_at_matched_minus_smf_adam", to_json(summary.drop_minus_reference)},
          {"trainable_per_batch", summary.trainable_per_batch},
          {"seconds", summary.seconds},
          {"settings_tried", tried}};
}

}  // namespace

SweepResults read_sweep_results(const ParetoPlan& plan, const fs::path& out) {
  SweepResults results;
  for (std::size_t seed = 0; seed < plan.seeds.size(); ++seed) {
    results.pretrain.push_back(read_pretrain(plan, pretrain_folder(out, plan.seeds[seed])));
    for (std::size_t m = 0; m < plan.methods.size(); ++m) {
      const ParetoMethod& method = plan.methods[m];
      for (std::size_t s = 0; s < method.settings.size(); ++s) {
        FinetuneRun run{.method = m, .setting = s, .seed = seed};
        read_finetune(plan, finetune_folder(out, plan.seeds[seed], method, method.settings[s]),
                      run);
        results.finetune.push_back(std::move(run));
      }
    }
  }
  return results;
}

std::string runs_csv(const ParetoPlan& plan, const SweepResults& results,
                     const ParetoAnalysis& analysis) {
  std::string csv = fmt::format(
      "method,seed,learning_rate,rows,rank,chosen,step,target_{0},target_{0}_half0,"
      "target_{0}_half1,heldout_{0},heldout_{0}_half0,heldout_{0}_half1,text_loss,"
      "trainable_per_batch,rows_touched,run_seconds\n",
      key_of(plan.measure));
  for (const FinetuneRun& run : results.finetune) {
    const ParetoMethod& method = plan.methods[run.method];
    const ParetoSetting& setting = method.settings[run.setting];
    const bool chosen = analysis.methods[run.method].setting == run.setting;
    for (const Checkpoint& at : run.checkpoints) {
      csv += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", method.name,
                         plan.seeds[run.seed], setting.learning_rate, setting.rows, setting.rank,
                         chosen ? 1 : 0, at.step, at.target.all, at.target.half0, at.target.half1,
                         at.heldout.all, at.heldout.half0, at.heldout.half1, at.text_loss,
                         run.trainable_per_batch, run.rows_touched, run.seconds);
    }
  }
  return csv;
}

json summary_json(const ParetoPlan& plan, const SweepResults& results,
                  const ParetoAnalysis& analysis, const json& versions) {
  json methods = json::object(), counts = json::object();
  double finetune_seconds = 0, pretrain_seconds = 0;
  for (std::size_t i = 0; i < plan.methods.size(); ++i) {
    const std::string& name = plan.methods[i].name;
    methods[name] = json(to_json(plan, plan.methods[i], analysis.methods[i]));
    counts[name] = plan.methods[i].settings.size();
    finetune_seconds += analysis.methods[i].seconds;
  }
  for (const PretrainRun& run : results.pretrain) pretrain_seconds += run.seconds;
  return {{"preset", plan.name},
          {"target", plan.target},
          {"heldout", plan.heldout},
          {"measure", key_of(plan.measure)},
          {"matched_target", plan.matched_target},
          {"seeds", plan.seeds},
          {"memory_off_drop", json(to_json(analysis.memory_off_drop))},
          {"versions", versions},
          {"settings_per_method", counts},
          {"seconds", {{"pretrain", pretrain_seconds}, {"finetune", finetune_seconds}}},
          {"methods", methods}};
}

std::string spread_text(const Statistic& statistic, double scale, int decimals) {
  if (!statistic.mean) return "-";
  std::string text = fmt::format("{:.{}f}", *statistic.mean * scale, decimals);
  if (statistic.sd) text += fmt::format(" ± {:.{}f}", *statistic.sd * scale, decimals);
  return text;
}

std::string per_seed_text(const Statistic& statistic, double scale, int decimals) {
  std::string text;
  for (const auto& value : statistic.per_seed) {
    text += text.empty() ? "" : ", ";
    text += value ? fmt::format("{:.{}f}", *value * scale, decimals) : "-";
  }
  return text;
}

std::string reached_text(const Statistic& reached) {
  const auto count = std::count(reached.per_seed.begin(), reached.per_seed.end(), 1.0);
  return fmt::format("{} of {}", count, reached.per_seed.size());
}

std::string too_small_warning(const SweepResults& results) {
  constexpr std::int64_t kFewest = 24;
  if (results.pretrain.empty()) return "";
  const std::int64_t prompts =
      std::min(results.pretrain.front().target_prompts, results.pretrain.front().heldout_prompts);
  if (prompts == 0 || prompts / 2 >= kFewest) return "";
  return fmt::format(
      "These numbers are too small to mean anything: a half of a question set has {} prompts, one "
      "answer more or less moves a figure by {:.0f} %. They show that the programs work and say "
      "nothing about the methods.",
      std::max<std::int64_t>(1, prompts / 2),
      100.0 / static_cast<double>(std::max<std::int64_t>(1, prompts / 2)));
}

std::string summary_table(const ParetoPlan& plan, const ParetoAnalysis& analysis) {
  constexpr auto* kRow = "{:<10} {:<20} {:>7} {:>15} {:>16} {:>13} {:>15}\n";
  const char* at_end = plan.measure == AnswerMeasure::f1 ? "F1 at end" : "target at end";
  std::string text =
      fmt::format(fmt::runtime(kRow), "", "", "", at_end, "drop at matched", "drop at end",
                  "text at matched") +
      fmt::format(fmt::runtime(kRow), "method", "setting", "reached", "%", "%", "%", "nats");
  for (std::size_t i = 0; i < plan.methods.size(); ++i) {
    const ParetoMethod& method = plan.methods[i];
    const MethodSummary& summary = analysis.methods[i];
    text += fmt::format(
        fmt::runtime(kRow), method.name, long_label(method.settings[summary.setting]),
        reached_text(summary.reached), spread_text(summary.target_at_end, 100, 1),
        spread_text(summary.drop_at_matched, 100, 1), spread_text(summary.drop_at_end, 100, 1),
        spread_text(summary.text_rise_at_matched, 1, 3));
  }
  return text;
}

}  // namespace slotwise
