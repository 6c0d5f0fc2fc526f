#include "train/pareto_analysis.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/train/pareto_test_support.h"

namespace slotwise {
namespace {

using testing::checkpoint;
using testing::two_method_plan;
using testing::two_method_results;

TEST(ParetoAnalysis, StatisticLeavesOutMissingSeeds) {
  const Statistic some = statistic({1.0, std::nullopt, 3.0});
  EXPECT_DOUBLE_EQ(*some.mean, 2);
  EXPECT_DOUBLE_EQ(*some.sd, std::sqrt(2.0));
  EXPECT_FALSE(some.per_seed[1]);
  const Statistic one = statistic({4.0});
  EXPECT_DOUBLE_EQ(*one.mean, 4);
  EXPECT_FALSE(one.sd);
  EXPECT_FALSE(statistic({std::nullopt}).mean);
}

TEST(ParetoAnalysis, DropUsesItsHalf) {
  Trajectory run = {checkpoint(0, 0, 1), checkpoint(10, 0.5, 0.8)};
  run[1].heldout.half0 = 0.7;
  EXPECT_DOUBLE_EQ(*relative_drop(run, 1, Half::choosing), 0.3);
  EXPECT_DOUBLE_EQ(*relative_drop(run, 1, Half::reporting), 0.2);
  run[0].heldout.half1 = 0;
  EXPECT_FALSE(relative_drop(run, 1, Half::reporting));
}

TEST(ParetoAnalysis, MatchedPointLiesOnTheLineBetweenTwoEvaluations) {
  Trajectory run = {checkpoint(0, 0, 1, 2), checkpoint(10, 0.5, 0.8, 2.1),
                    checkpoint(20, 0.75, 0.6, 2.5), checkpoint(30, 1.0, 0.1, 3)};
  run[1].target.half0 = 0.75;
  const auto reporting = matched_point(run, Half::reporting, 0.7);
  EXPECT_NEAR(reporting->step, 18, 1e-12);
  EXPECT_EQ(reporting->target, 0.7);
  EXPECT_NEAR(*reporting->drop, 0.36, 1e-12);
  EXPECT_NEAR(reporting->text_rise, 0.42, 1e-12);
  EXPECT_NEAR(matched_point(run, Half::choosing, 0.7)->step, 10 * 0.7 / 0.75, 1e-12);
  // An evaluation right on the target is the point itself.
  EXPECT_EQ(matched_point(run, Half::reporting, 0.75)->step, 20);
  EXPECT_NEAR(*matched_point(run, Half::reporting, 0.75)->drop, 0.4, 1e-12);
  EXPECT_FALSE(matched_point(run, Half::reporting, 1.01));
  // Before the first there is nothing to draw a line from.
  run[0].target.half1 = 0.8;
  EXPECT_EQ(matched_point(run, Half::reporting, 0.7)->step, 0);
  EXPECT_EQ(matched_point(run, Half::reporting, 0.7)->target, 0.8);
  EXPECT_EQ(*matched_point(run, Half::reporting, 0.7)->drop, 0);
  run[0].heldout.half1 = 0;
  EXPECT_FALSE(matched_point(run, Half::reporting, 0.9)->drop);
}

TEST(ParetoAnalysis, MatchedFiguresDoNotDependOnHowOftenARunIsEvaluated) {
  // One run that learns and forgets evenly, evaluated at every step and at every seventh.
  Trajectory often, seldom;
  for (std::int64_t step = 0; step <= 42; ++step) {
    const auto share = static_cast<double>(step) / 42;
    often.push_back(checkpoint(step, share, 1 - 0.4 * share, 2 + share));
    if (step % 7 == 0) seldom.push_back(often.back());
  }
  const auto one = matched_point(often, Half::reporting, 0.9);
  const auto other = matched_point(seldom, Half::reporting, 0.9);
  EXPECT_NEAR(*one->drop, 0.36, 1e-12);
  EXPECT_NEAR(*other->drop, 0.36, 1e-12);
  EXPECT_NEAR(one->text_rise, other->text_rise, 1e-12);
}

TEST(ParetoAnalysis, ChoiceCountsSeedsThenDropThenLearning) {
  const SettingScore two{
      .seeds_reached = 2, .drop_at_matched = statistic({0.2, 0.4}), .target_at_end = 0.9};
  const SettingScore one{
      .seeds_reached = 1, .drop_at_matched = statistic({0.1, std::nullopt}), .target_at_end = 0.95};
  EXPECT_EQ(best_setting({two, one}), 0u);
  EXPECT_EQ(best_setting({one, two}), 1u);
  SettingScore gentle = two;
  gentle.drop_at_matched = statistic({0.25, 0.3});
  EXPECT_EQ(best_setting({two, gentle}), 1u);
  SettingScore learned = two;
  learned.target_at_end = 1;
  EXPECT_EQ(best_setting({two, learned}), 1u);
  EXPECT_EQ(best_setting({two, two}), 0u);  // a tie keeps the first
  const SettingScore never{.target_at_end = 0.5, .drop_at_end = 0.0};
  const SettingScore never_more{.target_at_end = 0.6, .drop_at_end = 0.9};
  EXPECT_EQ(best_setting({never, never_more}), 1u);
  SettingScore never_gentle = never_more;
  never_gentle.drop_at_end = 0.1;
  EXPECT_EQ(best_setting({never_more, never_gentle}), 1u);
}

TEST(ParetoAnalysis, SettingsAreComparedOverTheSeedsThatBothReach) {
  // Seed 0 is easy, seed 2 hard. On seed 1, which both reach, the second setting forgets less,
  // although its mean is the higher one.
  const SettingScore easy{.seeds_reached = 2,
                          .drop_at_matched = statistic({0.05, 0.2, std::nullopt}),
                          .target_at_end = 0.9};
  const SettingScore hard{.seeds_reached = 2,
                          .drop_at_matched = statistic({std::nullopt, 0.15, 0.5}),
                          .target_at_end = 0.9};
  EXPECT_EQ(best_setting({easy, hard}), 1u);
  EXPECT_EQ(best_setting({hard, easy}), 0u);
  // No seed in common: the drops say nothing, and what was learned decides.
  const SettingScore first{
      .seeds_reached = 1, .drop_at_matched = statistic({0.05, std::nullopt}), .target_at_end = 0.8};
  const SettingScore second{
      .seeds_reached = 1, .drop_at_matched = statistic({std::nullopt, 0.5}), .target_at_end = 0.9};
  EXPECT_EQ(best_setting({first, second}), 1u);
  EXPECT_EQ(best_setting({second, first}), 0u);
  EXPECT_TRUE(chosen_without_shared_seed({first, second}));
  EXPECT_FALSE(chosen_without_shared_seed({easy, hard}));
  EXPECT_FALSE(chosen_without_shared_seed({first}));
  const SettingScore never{.drop_at_matched = statistic({std::nullopt, std::nullopt})};
  EXPECT_FALSE(chosen_without_shared_seed({never, never}));
}

TEST(ParetoAnalysis, TheChoiceDoesNotDependOnTheOrderOfTheSettings) {
  // Compared in pairs over the seeds that both reach, each of these would beat the next in a ring.
  const auto score = [](std::vector<std::optional<double>> drops, double learned) {
    return SettingScore{
        .seeds_reached = 2, .drop_at_matched = statistic(drops), .target_at_end = learned};
  };
  const SettingScore a = score({0.5, 0.1, std::nullopt}, 0.90);
  const SettingScore b = score({std::nullopt, 0.2, 0.1}, 0.95);
  const SettingScore c = score({0.4, std::nullopt, 0.2}, 0.92);
  EXPECT_EQ(best_setting({a, b, c}), 1u);
  EXPECT_EQ(best_setting({b, c, a}), 0u);
  EXPECT_EQ(best_setting({c, a, b}), 2u);
}

// Full finetuning passes 0.9 on its way from 0.475 to 0.95.
constexpr double kFullShare = 0.425 / 0.475;

TEST(ParetoAnalysis, ReportsTheChosenSettingPairedBySeed) {
  const ParetoPlan plan = two_method_plan({3, 5});
  const ParetoAnalysis analysis = analyse(plan, two_method_results(plan));
  const MethodSummary &full = analysis.methods[0], &sparse = analysis.methods[1];
  EXPECT_EQ(full.setting, 0u);
  EXPECT_EQ(sparse.setting, 1u);  // the other one forgets less but never reaches the target
  EXPECT_DOUBLE_EQ(*full.reached.mean, 1);
  EXPECT_NEAR(*full.drop_at_matched.per_seed[0], 0.1 + 0.1 * kFullShare, 1e-12);
  EXPECT_NEAR(*full.drop_at_matched.per_seed[1], 0.1 + 0.11 * kFullShare, 1e-12);
  EXPECT_NEAR(*sparse.drop_at_matched.mean, 0.105, 1e-12);
  EXPECT_NEAR(*full.drop_minus_reference.per_seed[0], 0.1 * kFullShare, 1e-12);
  EXPECT_NEAR(*full.drop_minus_reference.per_seed[1], 0.11 * kFullShare - 0.01, 1e-12);
  EXPECT_NEAR(*sparse.drop_minus_reference.mean, 0, 1e-12);
  EXPECT_NEAR(*full.text_rise_at_matched.mean, 0.1 + 0.2 * kFullShare, 1e-12);
  EXPECT_NEAR(*full.step_at_matched.mean, 10 + 10 * kFullShare, 1e-12);
  EXPECT_DOUBLE_EQ(*full.target_at_matched.mean, 0.9);
  EXPECT_DOUBLE_EQ(full.seconds, 4);
  EXPECT_NEAR(*analysis.memory_off_drop.mean, 0.405, 1e-12);
}

TEST(ParetoAnalysis, ChosenOnOneHalfReportedOnTheOther) {
  const ParetoPlan plan = two_method_plan({0});
  SweepResults results = two_method_results(plan);
  // Half 1 alone would prefer setting 1 of full finetuning; it has no say.
  for (FinetuneRun& run : results.finetune) {
    if (run.method == 0 && run.setting == 0) run.checkpoints.back().heldout.half1 = 0.1;
  }
  const MethodSummary full = analyse(plan, results).methods[0];
  EXPECT_EQ(full.setting, 0u);
  EXPECT_NEAR(*full.drop_at_matched.mean, 0.1 + 0.8 * kFullShare, 1e-12);
  EXPECT_FALSE(full.drop_at_matched.sd);
}

TEST(ParetoAnalysis, SeedThatNeverReachesIsLeftOut) {
  const ParetoPlan plan = two_method_plan({0, 1});
  SweepResults results = two_method_results(plan);
  for (FinetuneRun& run : results.finetune) {
    if (run.method == 0 && run.seed == 1) run.checkpoints.back().target.half1 = 0.89;
  }
  const MethodSummary full = analyse(plan, results).methods[0];
  EXPECT_DOUBLE_EQ(*full.reached.mean, 0.5);
  EXPECT_FALSE(full.drop_at_matched.per_seed[1]);
  EXPECT_FALSE(full.text_rise_at_matched.per_seed[1]);
  EXPECT_FALSE(full.drop_minus_reference.per_seed[1]);
  EXPECT_NEAR(*full.drop_at_matched.mean, 0.1 + 0.1 * kFullShare, 1e-12);
  EXPECT_NEAR(*full.drop_at_end.mean, 0.205, 1e-12);
}

TEST(ParetoAnalysis, NothingReachesTheTarget) {
  ParetoPlan plan = two_method_plan({0});
  plan.matched_target = 1.0;
  SweepResults results = two_method_results(plan);
  for (FinetuneRun& run : results.finetune) {
    run.checkpoints.back().target.half0 *= 0.9;
    run.checkpoints.back().target.half1 *= 0.9;
  }
  const ParetoAnalysis analysis = analyse(plan, results);
  EXPECT_EQ(analysis.methods[0].setting, 1u);  // learned the most at the end
  EXPECT_DOUBLE_EQ(*analysis.methods[0].reached.mean, 0);
  EXPECT_FALSE(analysis.methods[0].drop_at_matched.mean);
  EXPECT_TRUE(analysis.methods[0].drop_at_end.mean);
}

TEST(ParetoAnalysis, FrontierHoldsThePointsThatNothingBeats) {
  const std::vector<Point> expected = {{0.2, 1.0}, {0.8, 0.9}, {1.0, 0.5}};
  EXPECT_EQ(
      pareto_frontier(
          {{1.0, 0.5}, {0.5, 0.9}, {0.8, 0.9}, {0.8, 0.2}, {0.2, 1.0}, {1.0, 0.4}, {0.8, 0.9}}),
      expected);
  EXPECT_TRUE(pareto_frontier({}).empty());
}

}  // namespace
}  // namespace slotwise
