#include "train/pareto_report.h"

#include <cstdlib>

#include "core/files.h"
#include "tests/data/temporary_folder.h"
#include "tests/train/pareto_test_support.h"
#include "train/pareto_gnuplot.h"
#include "train/pareto_plots.h"
#include "train/pareto_summary.h"

namespace slotwise {
namespace {

using testing::two_method_plan;
using testing::two_method_results;

// Draws all pictures of a sweep; false where this machine has no gnuplot.
bool draws_all(const ParetoPlan& plan, const SweepResults& results, const TemporaryFolder& folder) {
  folder.write("pareto.gp", pareto_script(plan, results, analyse(plan, results)));
  if (!run_gnuplot(folder.path(), "pareto.gp")) return false;
  for (const ParetoFigure& figure : kParetoFigures) {
    EXPECT_EQ(read_file(folder / figure.file(".png")).substr(1, 3), "PNG") << figure.name;
    const std::string svg = titled_svg(read_file(folder / figure.file(".svg")), figure.title);
    EXPECT_TRUE(contains(svg, "</svg>")) << figure.name;
    EXPECT_TRUE(contains(svg, "<title>" + std::string(figure.title) + "</title>")) << figure.name;
    EXPECT_FALSE(contains(svg, "<title>gnuplot_plot")) << figure.name;
  }
  return true;
}

TEST(ParetoReport, DrawsOrdinaryAndDegenerateSweeps) {
  const TemporaryFolder folder;
  const ParetoPlan plan = two_method_plan({0, 1});
  if (!draws_all(plan, two_method_results(plan), folder))
    GTEST_SKIP() << "gnuplot is not installed";
  // Nothing is known before and nothing learned.
  const ParetoPlan one = two_method_plan({0});
  SweepResults nothing = two_method_results(one);
  for (FinetuneRun& run : nothing.finetune) {
    for (Checkpoint& at : run.checkpoints) at = testing::checkpoint(at.step, 0, 0);
  }
  const TemporaryFolder second;
  draws_all(one, nothing, second);
}

TEST(ParetoReport, MissingAndFailingGnuplot) {
  const TemporaryFolder folder;
  folder.write("pareto.gp", "set terminal no_such_terminal\n");
  const std::string path = std::getenv("PATH");
  setenv("PATH", folder.path().c_str(), 1);
  EXPECT_FALSE(run_gnuplot(folder.path(), "pareto.gp"));
  setenv("PATH", path.c_str(), 1);
  const auto program = folder.write("gnuplot", "#!/bin/sh\necho unknown terminal; exit 1\n");
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  setenv("PATH", (folder.path().string() + ":" + path).c_str(), 1);
  try {
    run_gnuplot(folder.path(), "pareto.gp");
    ADD_FAILURE() << "a failing gnuplot must be an error";
  } catch (const Error& error) {
    EXPECT_TRUE(contains(error.what(), "unknown terminal"));
  }
  setenv("PATH", path.c_str(), 1);
}

TEST(ParetoReport, AxisRangesAreRoundAndHoldTheirValues) {
  EXPECT_EQ(axis_range({0, 43}, 10).text(), "[-1:51]");
  const AxisRange range = axis_range({97.5, 100.9}, 10);
  EXPECT_LE(range.low, 97.5);
  EXPECT_GE(range.high, 100.9);
  EXPECT_LT(range.high, 103);
  EXPECT_LT(axis_range({5, 5}, 10).low, axis_range({5, 5}, 10).high);
}

TEST(ParetoReport, PageIsSelfContainedAndHonest) {
  const ParetoPlan plan = two_method_plan({0, 1});
  SweepResults results = two_method_results(plan);
  for (FinetuneRun& run : results.finetune) {
    if (run.method == 0 && run.seed == 1) run.checkpoints.back().target.half1 = 0.5;
  }
  const ParetoAnalysis analysis = analyse(plan, results);
  results.pretrain.front().target_prompts = 64;
  results.pretrain.front().heldout_prompts = 512;
  ReportFacts facts{.command = "slotwise-pareto --set 'a<b'",
                    .settings = "{\"x\": 1}",
                    .versions = {{"commit", "1234abc"}, {"gemm", "a GEMM 1.2"}}};
  facts.figures["pareto"] = "<?xml?>\n<svg id='a'><use xlink:href='#a'/></svg>";
  const std::string page = html_report(plan, results, analysis, facts);
  for (const char* part :
       {"All baselines run on the memory model", "slotwise-pareto --set 'a&lt;b'",
        "loses 40.5 ± 0.7 % of the old knowledge", "<svg id='pareto-a'>", "gnuplot was not found",
        "1 of 2", "<td>18.9, -</td>", "chosen on half 0 and reported on half 1",
        "about 32 prompts of the new and 256 of the old", "prefers-color-scheme: dark",
        "commit 1234abc", "a GEMM 1.2", "on the straight line from the last one below",
        "{&quot;x&quot;: 1}"}) {
    EXPECT_TRUE(contains(page, part)) << part;
  }
  EXPECT_FALSE(contains(page, "too small to mean anything"));
  for (const char* part : {"src=", "<link", "@import", "<?xml", "<script"}) {
    EXPECT_FALSE(contains(page, part)) << part;
  }
}

TEST(ParetoReport, SaysF1WhereThatIsTheMeasure) {
  ParetoPlan plan = two_method_plan({0, 1});
  const SweepResults results = two_method_results(plan);
  const ParetoAnalysis analysis = analyse(plan, results);
  const std::string exact = html_report(plan, results, analysis, {});
  EXPECT_TRUE(contains(exact, "where 90 % of the new is answered"));
  EXPECT_TRUE(contains(exact, "exact match, SQuAD normalisation"));
  EXPECT_FALSE(contains(exact, "F1"));
  EXPECT_FALSE(contains(pareto_script(plan, results, analysis), "F1"));

  plan.measure = AnswerMeasure::f1;
  const std::string page = html_report(plan, results, analysis, {});
  for (const char* part : {"where the F1 on the new is 90 %", "<th>F1 on the new, %</th>",
                           "<th>F1 on the old, %</th>", "token F1 (SQuAD normalisation)"}) {
    EXPECT_TRUE(contains(page, part)) << part;
  }
  const std::string script = pareto_script(plan, results, analysis);
  EXPECT_TRUE(contains(script, "set xlabel \"F1 on the new knowledge, %\""));
  EXPECT_TRUE(contains(script, "set ylabel \"F1 on the old knowledge, % of before\""));
  const std::string table = summary_table(plan, analysis);
  EXPECT_TRUE(contains(table, "F1 at end"));
  for (const std::string& text : {page, script, table}) {
    EXPECT_FALSE(contains(text, "answered")) << text;
    EXPECT_FALSE(contains(text, "exact match")) << text;
  }
}

TEST(ParetoReport, WarnsOfTooFewPrompts) {
  const ParetoPlan plan = two_method_plan({0});
  SweepResults results = two_method_results(plan);
  results.pretrain.front().target_prompts = 16;
  results.pretrain.front().heldout_prompts = 512;
  EXPECT_TRUE(contains(too_small_warning(results), "has 8 prompts, one answer more or less"));
  const std::string page = html_report(plan, results, analyse(plan, results), {});
  EXPECT_TRUE(contains(page, "too small to mean anything"));
  results.pretrain.front().target_prompts = 64;
  EXPECT_EQ(too_small_warning(results), "");
}

TEST(ParetoReport, SvgIdsOfTwoPicturesDiffer) {
  EXPECT_EQ(inline_svg("<?xml version=\"1.0\"?><svg><g id=\"a\"/><use xlink:href='#a' "
                       "clip-path=\"url(#a)\"/></svg>",
                       "one"),
            "<svg><g id=\"one-a\"/><use xlink:href='#one-a' clip-path=\"url(#one-a)\"/></svg>");
}

TEST(ParetoReport, SaysWhereTheEndHasChosen) {
  const ParetoPlan plan = two_method_plan({0, 1});
  const SweepResults results = two_method_results(plan);
  ParetoAnalysis analysis = analyse(plan, results);
  EXPECT_FALSE(contains(html_report(plan, results, analysis, {}), "different seeds"));
  for (std::size_t i = 0; i < 2; ++i) {
    SettingScore& score = analysis.methods[1].scores[i];
    score.seeds_reached = 1;
    score.drop_at_matched =
        statistic(i == 0 ? std::vector<std::optional<double>>{0.1, std::nullopt}
                         : std::vector<std::optional<double>>{std::nullopt, 0.1});
  }
  EXPECT_TRUE(contains(html_report(plan, results, analysis, {}),
                       "(so for smf_adam, whose settings got there with different seeds)"));
}

TEST(ParetoReport, TableAlignsAndMarksWhatIsMissing) {
  ParetoPlan plan = two_method_plan({0});
  plan.matched_target = 0.93;
  const std::string table = summary_table(plan, analyse(plan, two_method_results(plan)));
  EXPECT_TRUE(contains(table, "drop at end text at matched")) << table;
  EXPECT_TRUE(contains(table, "full       rate 1e-4             1 of 1")) << table;
  EXPECT_TRUE(
      contains(table, "smf_adam   t 512, rate 0.05      0 of 1            90.0                -"))
      << table;
}

}  // namespace
}  // namespace slotwise
