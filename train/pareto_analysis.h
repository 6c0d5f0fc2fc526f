// From the evaluations of a sweep to its numbers. The prompts are in two halves: half 0 chooses ONE
// setting a method for all seeds, half 1 reports it. Choice: most seeds that reach the matched
// target; among those the least mean relative drop of the held-out score at the matched point,
// over the seeds that all of those reached; where there is no such seed, the highest target score
// at the end. Seeds are paired throughout: per_seed[i] is always seed i of the plan. Pure
// functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/pareto_plan.h"

namespace slotwise {

enum class Half { choosing, reporting };

struct PromptScores {
  double all = 0, half0 = 0, half1 = 0;  // mean of the measure of the plan
  double of(Half half) const { return half == Half::choosing ? half0 : half1; }
};

struct Checkpoint {
  std::int64_t step = 0;
  PromptScores target, heldout;
  double text_loss = 0;  // nats a token
};
using Trajectory = std::vector<Checkpoint>;  // the first is before finetuning

struct FinetuneRun {
  std::size_t method = 0, setting = 0, seed = 0;  // indices into the plan
  Trajectory checkpoints;
  double seconds = 0;
  std::int64_t trainable_per_batch = 0;  // parameters changed by a batch
  std::int64_t rows_touched = 0;
};

struct PretrainRun {
  PromptScores heldout;
  std::optional<PromptScores> heldout_memory_off;        // none: the model has no memory
  std::int64_t target_prompts = 0, heldout_prompts = 0;  // of both halves
  double text_loss = 0;
  double seconds = 0;
  std::int64_t steps = 0, parameters = 0;
};

struct SweepResults {
  std::vector<PretrainRun> pretrain;  // one a seed
  std::vector<FinetuneRun> finetune;

  const FinetuneRun& run(std::size_t method, std::size_t setting, std::size_t seed) const;
};

struct Statistic {
  std::vector<std::optional<double>> per_seed;
  std::optional<double> mean;  // over the seeds that have a value
  std::optional<double> sd;    // of the sample: needs two values
};
Statistic statistic(std::vector<std::optional<double>> per_seed);

// (before - after) / before of the held-out score; nothing when it was 0 before.
std::optional<double> relative_drop(const Trajectory& run, std::size_t checkpoint, Half half);

// Since before finetuning, nats a token.
double text_rise(const Trajectory& run, std::size_t checkpoint);

// A run where it had learned the matched target. Evaluations are steps apart, and methods differ in
// how far the first one past the target overshoots it, so every figure is taken on the straight
// line from the last evaluation below the target to the first that reaches it.
struct MatchedPoint {
  double step = 0;
  double target = 0;  // the matched target, or more where the very first evaluation is past it
  std::optional<double> drop;  // relative, of the held-out score
  double text_rise = 0;        // nats a token
};
std::optional<MatchedPoint> matched_point(const Trajectory& run, Half half, double target);

// How a setting did on the choosing half.
struct SettingScore {
  std::size_t seeds_reached = 0;
  Statistic drop_at_matched;  // of the seeds that reached
  double target_at_end = 0;
  std::optional<double> drop_at_end;
};
SettingScore score_setting(const std::vector<const FinetuneRun*>& seeds, double matched_target);
// Of those that reached the target on the most seeds: the least drop over the seeds that all of
// them reached, then the most learned at the end, then the least drop there; ties go to the first.
std::size_t best_setting(const std::vector<SettingScore>& scores);
// Some settings reached the target, but of those that did so most often none shared a seed: the
// score at the end has chosen.
bool chosen_without_shared_seed(const std::vector<SettingScore>& scores);

struct MethodSummary {
  std::size_t setting = 0;           // the chosen one
  std::vector<SettingScore> scores;  // of every setting, choosing half
  Statistic reached;                 // 1 or 0
  Statistic step_at_matched;
  Statistic target_at_matched;  // the target, or more where step 0 is past it
  Statistic target_at_end;
  Statistic drop_at_matched, drop_at_end;            // relative, of the held-out score
  Statistic text_rise_at_matched, text_rise_at_end;  // nats a token
  Statistic drop_minus_reference;  // drop_at_matched minus that of the reference method
  double seconds = 0;              // of all its runs
  std::int64_t trainable_per_batch = 0;
};

struct ParetoAnalysis {
  std::vector<MethodSummary> methods;  // in the order of the plan
  Statistic memory_off_drop;           // all held-out prompts
};

inline constexpr const char* kReferenceMethod = "smf_adam";

ParetoAnalysis analyse(const ParetoPlan& plan, const SweepResults& results);

// The points (target, retained) that no other point beats in both, by rising target.
using Point = std::pair<double, double>;
std::vector<Point> pareto_frontier(std::vector<Point> points);

}  // namespace slotwise
