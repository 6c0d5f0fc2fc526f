#include "train/pareto_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <regex>

#include "core/error.h"
#include "train/pareto_gnuplot.h"
#include "train/pareto_plots.h"
#include "train/pareto_summary.h"
#include "train/pareto_words.h"

namespace slotwise {
namespace {

constexpr const char* kStyle = R"(
:root { color-scheme: light dark; --ink: #1d2327; --soft: #59636b; --paper: #ffffff;
  --line: #d8dde1; --shade: #f4f6f7; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e7ea; --soft: #9aa5ad; --paper: #14181b;
  --line: #343c42; --shade: #1d2327; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.25rem 4rem; max-width: 66rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.55 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.2rem; margin: 2.75rem 0 .5rem; }
p { margin: .6rem 0; max-width: 48rem; }
.soft { color: var(--soft); }
.warning { border: 2px solid #d55e00; border-radius: 6px; padding: .6rem .9rem; }
figure { margin: 1rem 0; background: #fff; border: 1px solid var(--line); border-radius: 6px;
  padding: .5rem; }
figure svg { display: block; width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .8rem .35rem 0; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; vertical-align: bottom; }
th { font-weight: 600; }
th:first-child, td:first-child, .text { text-align: left; }
tr.chosen td { font-weight: 600; }
.dot { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .45em; }
pre { background: var(--shade); border: 1px solid var(--line); border-radius: 6px; padding: .7rem;
  overflow-x: auto; font-size: .85rem; }
summary { cursor: pointer; }
)";

std::string percent(const Statistic& statistic) {
  return spread_text(statistic, 100, 1);
}

std::string row(const std::vector<std::string>& cells, const char* tag,
                const char* attributes = "") {
  std::string out = fmt::format("<tr{}>", attributes);
  for (const std::string& cell : cells) out += fmt::format("<{0}>{1}</{0}>", tag, cell);
  return out + "</tr>\n";
}

class Report {
 public:
  Report(const ParetoPlan& plan, const SweepResults& results, const ParetoAnalysis& analysis,
         const ReportFacts& facts)
      : plan_(plan),
        results_(results),
        analysis_(analysis),
        facts_(facts),
        series_(series_of_methods(plan)) {}

  std::string text() const {
    return fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<title>Slotwise: learning against forgetting, {}</title>\n<style>{}</style>\n</head>\n"
        "<body>\n{}{}{}{}{}{}{}{}{}</body>\n</html>\n",
        html_escaped(plan_.name), kStyle, opening(), matched(), frontier(), curves(), text_loss(),
        end_table(), memory_off(), settings(), provenance());
  }

 private:
  std::string opening() const {
    return fmt::format(
               "<h1>Learning against forgetting: {}</h1>\n"
               "<p>A language model with a memory layer is pretrained, then taught new knowledge "
               "(question set <em>{}</em>) by {} methods. Each is asked what it has learned and "
               "what it "
               "still knows of the old (question set <em>{}</em>). {}. {}</p>\n"
               "<p><strong>All baselines run on the memory model</strong>: full finetuning and "
               "LoRA start "
               "from the same pretrained model with memory layers as sparse memory finetuning "
               "does, not "
               "from a model without them.</p>\n",
               html_escaped(plan_.name), html_escaped(plan_.target), plan_.methods.size(),
               html_escaped(plan_.heldout), seeds_sentence(), words_.sentence) +
           warning();
  }

  std::string warning() const {
    const std::string text = too_small_warning(results_);
    return text.empty() ? "" : "<p class=\"warning\"><strong>" + text + "</strong></p>\n";
  }

  std::string seeds_sentence() const {
    if (plan_.seeds.size() == 1) {
      return fmt::format("One seed ({}), so there is no spread to judge differences by",
                         plan_.seeds[0]);
    }
    return fmt::format(
        "{} seeds ({}); a seed is a world, a pretrained model and an order of the new facts, and "
        "every method sees the same ones",
        plan_.seeds.size(), fmt::join(plan_.seeds, ", "));
  }

  std::string figure(const char* name) const {
    const auto found = facts_.figures.find(name);
    if (found == facts_.figures.end()) {
      return "<p class=\"soft\">The picture is missing: gnuplot was not found when this report was "
             "made.</p>\n";
    }
    const auto known =
        std::find_if(kParetoFigures.begin(), kParetoFigures.end(),
                     [&](const ParetoFigure& each) { return found->first == each.name; });
    SLOTWISE_CHECK(known != kParetoFigures.end(), "[report] there is no picture '{}'", name);
    return fmt::format("<figure role=\"img\" aria-label=\"{}\">\n{}\n</figure>\n", known->title,
                       inline_svg(found->second, name));
  }

  std::string method_cell(std::size_t m) const {
    return fmt::format("<span class=\"dot\" style=\"background:{}\"></span>{}",
                       series_colour(series_[m]), html_escaped(plan_.methods[m].name));
  }
  std::string chosen_label(std::size_t m) const {
    return long_label(plan_.methods[m].settings[analysis_.methods[m].setting]);
  }

  std::string matched() const {
    std::string rows;
    for (std::size_t m = 0; m < plan_.methods.size(); ++m) {
      const MethodSummary& summary = analysis_.methods[m];
      rows += row(
          {method_cell(m), chosen_label(m), reached_text(summary.reached),
           spread_text(summary.step_at_matched, 1, 0), percent(summary.target_at_matched),
           percent(summary.drop_at_matched), per_seed_text(summary.drop_at_matched, 100, 1),
           spread_text(summary.text_rise_at_matched, 1, 3), percent(summary.drop_minus_reference),
           per_seed_text(summary.drop_minus_reference, 100, 1)},
          "td");
    }
    return fmt::format(
        "<h2>Forgetting at matched learning</h2>\n"
        "<p>What each method had lost of the old knowledge where {}. "
        "That point lies between two evaluations: on the straight line from the last one below the "
        "target to the first that reaches it, for every method alike, so that none is charged for "
        "overshooting the target. A lost share is positive: (before - after) / before. Mean and "
        "standard deviation are over the seeds that reached the target.</p>\n{}"
        "<div class=\"wide\"><table>\n{}{}</table></div>\n"
        "<p class=\"soft\">The last two columns compare within a seed: the loss of the method "
        "minus "
        "that of {} with the same pretrained model, in percentage points. This takes out what "
        "differs between the pretrained models of the seeds.</p>\n",
        matched_text(plan_.measure, plan_.matched_target), figure("matched"),
        row({"method", "setting", "seeds that<br>reached", "at step",
             fmt::format("{} there, %", words_.new_column),
             fmt::format("{}, %", words_.lost_column), "each seed",
             "text loss rise,<br>nats a token",
             fmt::format("minus {},<br>points", kReferenceMethod), "each seed"},
            "th"),
        rows, kReferenceMethod);
  }

  std::string frontier() const {
    return "<h2>The frontier</h2>\n<p>Every run at its end: to the right, more learned; upwards, "
           "more kept. A run on the frontier is beaten in both by no other.</p>\n" +
           figure("pareto");
  }

  std::string curves() const { return "<h2>Over the steps</h2>\n" + figure("curves"); }

  std::string text_loss() const {
    return "<h2>Damage to general text</h2>\n<p>The loss on held-out general text, beside the "
           "questions: how far the method disturbs what it was not meant to touch.</p>\n" +
           figure("text");
  }

  std::string end_table() const {
    std::string rows;
    for (std::size_t m = 0; m < plan_.methods.size(); ++m) {
      const MethodSummary& summary = analysis_.methods[m];
      rows += row(
          {method_cell(m), chosen_label(m), percent(summary.target_at_end),
           per_seed_text(summary.target_at_end, 100, 1), percent(summary.drop_at_end),
           per_seed_text(summary.drop_at_end, 100, 1), spread_text(summary.text_rise_at_end, 1, 3),
           fmt::format("{}", summary.trainable_per_batch), fmt::format("{:.0f}", summary.seconds)},
          "td");
    }
    return "<h2>At the end of the runs</h2>\n<p>The same settings after the last step. Methods "
           "that "
           "learn fast have gone on past the matched point here.</p>\n<div "
           "class=\"wide\"><table>\n" +
           row({"method", "setting", fmt::format("{}, %", words_.new_column), "each seed",
                fmt::format("{}, %", words_.lost_column), "each seed",
                "text loss rise,<br>nats a token", "parameters<br>a batch", "seconds,<br>all runs"},
               "th") +
           rows + "</table></div>\n";
  }

  std::string memory_off() const {
    const auto& pretrained = results_.pretrain;
    if (std::none_of(pretrained.begin(), pretrained.end(),
                     [](const PretrainRun& run) { return run.heldout_memory_off.has_value(); })) {
      return "";
    }
    std::string rows;
    for (std::size_t s = 0; s < plan_.seeds.size(); ++s) {
      const PretrainRun& run = results_.pretrain[s];
      const auto& drop = analysis_.memory_off_drop.per_seed[s];
      rows += row(
          {fmt::format("{}", plan_.seeds[s]), fmt::format("{:.1f}", 100 * run.heldout.all),
           run.heldout_memory_off ? fmt::format("{:.1f}", 100 * run.heldout_memory_off->all) : "-",
           drop ? fmt::format("{:.1f}", 100 * *drop) : "-", fmt::format("{:.3f}", run.text_loss),
           fmt::format("{}", run.parameters), fmt::format("{:.0f}", run.seconds)},
          "td");
    }
    return fmt::format(
        "<h2>Is the knowledge in the memory?</h2>\n"
        "<p>With its memory switched off, the pretrained model loses {} % of the old knowledge{}. "
        "This matters because sparse memory finetuning can only spare and add knowledge where the "
        "model keeps it: when this number is small, the facts live in the other layers and the "
        "comparison says little about the memory.</p>\n<div class=\"wide\"><table>\n{}{}"
        "</table></div>\n",
        percent(analysis_.memory_off_drop), plan_.measure == AnswerMeasure::f1 ? ", by F1" : "",
        row({"seed", fmt::format("{}, %", words_.old_column), "memory off, %", "lost, %",
             "text loss,<br>nats a token", "parameters", "seconds"},
            "th"),
        rows);
  }

  std::string settings() const {
    std::string rows;
    for (std::size_t m = 0; m < plan_.methods.size(); ++m) {
      const MethodSummary& summary = analysis_.methods[m];
      for (std::size_t i = 0; i < summary.scores.size(); ++i) {
        const SettingScore& score = summary.scores[i];
        const bool chosen = i == summary.setting;
        rows += row({method_cell(m), long_label(plan_.methods[m].settings[i]),
                     fmt::format("{} of {}", score.seeds_reached, plan_.seeds.size()),
                     optional_percent(score.drop_at_matched.mean),
                     fmt::format("{:.1f}", 100 * score.target_at_end),
                     optional_percent(score.drop_at_end), chosen ? "chosen" : ""},
                    "td", chosen ? " class=\"chosen\"" : "");
      }
    }
    return fmt::format(
        "<h2>How the settings were chosen</h2>\n"
        "<p>The prompts of both question sets are in two halves. One setting a method, the same "
        "for "
        "all seeds, is chosen on half 0 and reported on half 1, which had no say in the choice. "
        "Chosen is the setting with which the most seeds get to where {}; among those, "
        "the one that had then lost the least of the old, over the seeds that all of them get "
        "there with; where there is no such seed, the one that had learned the most at the "
        "end{}. The figures above are of half 1 (but for the memory switched "
        "off: all prompts){}. This table is of half 0, mean over seeds.</p>\n<div "
        "class=\"wide\"><table>\n{}{}</table></div>\n",
        matched_text(plan_.measure, plan_.matched_target), chosen_by_the_end(), half_sizes(),
        row({"method", "setting", "seeds that<br>reached",
             fmt::format("{} at<br>matched, %", words_.lost_column),
             fmt::format("{}<br>at end, %", words_.new_column),
             fmt::format("{}<br>at end, %", words_.lost_column), ""},
            "th"),
        rows);
  }

  std::string chosen_by_the_end() const {
    std::string names;
    for (std::size_t m = 0; m < plan_.methods.size(); ++m) {
      if (!chosen_without_shared_seed(analysis_.methods[m].scores)) continue;
      names += (names.empty() ? "" : ", ") + html_escaped(plan_.methods[m].name);
    }
    return names.empty()
               ? ""
               : fmt::format(" (so for {}, whose settings got there with different seeds)", names);
  }

  // How finely a half can tell.
  std::string half_sizes() const {
    const PretrainRun& run = results_.pretrain.front();
    if (run.target_prompts == 0 || run.heldout_prompts == 0) return "";
    return fmt::format(", about {} prompts of the new and {} of the old", run.target_prompts / 2,
                       run.heldout_prompts / 2);
  }

  static std::string optional_percent(const std::optional<double>& value) {
    return value ? fmt::format("{:.1f}", 100 * *value) : "-";
  }

  std::string provenance() const {
    double pretrain = 0, finetune = 0;
    for (const PretrainRun& run : results_.pretrain) pretrain += run.seconds;
    for (const MethodSummary& summary : analysis_.methods) finetune += summary.seconds;
    const auto version = [&](const char* key) {
      return html_escaped(facts_.versions.value(key, "not recorded"));
    };
    return fmt::format(
        "<h2>How this was made</h2>\n<pre>{}</pre>\n"
        "<p>Slotwise {} (commit {}), built by {} for {}, with {}, on {} ({}). Every run used one "
        "thread; {:.0f} s of pretraining and {:.0f} s of finetuning in {} runs, added up.{}</p>\n"
        "<details><summary>All settings</summary>\n<pre>{}</pre>\n</details>\n",
        html_escaped(facts_.command), version("slotwise"), version("commit"), version("compiler"),
        version("architecture"), version("gemm"), version("processor"),
        version("processor_features"), pretrain, finetune, results_.finetune.size(),
        pretrained_text(), html_escaped(facts_.settings));
  }

  std::string pretrained_text() const {
    const auto found = facts_.versions.find("pretrained");
    if (found == facts_.versions.end() || !found->is_object()) return "";
    return fmt::format(
        " The pretrained models are those of the sweep {}, made by commit {}.",
        html_escaped(found->value("from", "")),
        html_escaped(
            found->value("versions", nlohmann::json::object()).value("commit", "not recorded")));
  }

  const ParetoPlan& plan_;
  const SweepResults& results_;
  const ParetoAnalysis& analysis_;
  const ReportFacts& facts_;
  const MeasureWords& words_ = words_of(plan_.measure);
  const std::vector<std::size_t> series_;
};

}  // namespace

std::string html_report(const ParetoPlan& plan, const SweepResults& results,
                        const ParetoAnalysis& analysis, const ReportFacts& facts) {
  return Report(plan, results, analysis, facts).text();
}

std::string html_escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string inline_svg(const std::string& svg, const std::string& prefix) {
  const std::size_t start = svg.find("<svg");
  std::string out = start == svg.npos ? svg : svg.substr(start);
  out = std::regex_replace(out, std::regex(R"((\bid=['"]))"), "$1" + prefix + "-");
  out = std::regex_replace(out, std::regex(R"((href=['"]#|url\(#))"), "$1" + prefix + "-");
  return out;
}

}  // namespace slotwise
