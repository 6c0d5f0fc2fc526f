#include "train/pareto_analysis.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "core/error.h"

namespace slotwise {
namespace {

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

std::optional<double> mean_or_nothing(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  return mean_of(values);
}

// The figures of one method at its chosen setting, on the reporting half.
void summarise(const std::vector<const FinetuneRun*>& seeds, double matched_target,
               MethodSummary& out) {
  using Values = std::vector<std::optional<double>>;
  Values reached, step, target, learned, drop_matched, drop_end, rise_matched, rise_end;
  for (const FinetuneRun* run : seeds) {
    const Trajectory& checkpoints = run->checkpoints;
    const std::size_t end = checkpoints.size() - 1;
    const auto matched = matched_point(checkpoints, Half::reporting, matched_target);
    reached.push_back(matched ? 1.0 : 0.0);
    target.push_back(checkpoints[end].target.of(Half::reporting));
    drop_end.push_back(relative_drop(checkpoints, end, Half::reporting));
    rise_end.push_back(text_rise(checkpoints, end));
    step.emplace_back();
    learned.emplace_back();
    drop_matched.emplace_back();
    rise_matched.emplace_back();
    if (!matched) continue;
    step.back() = matched->step;
    learned.back() = matched->target;
    drop_matched.back() = matched->drop;
    rise_matched.back() = matched->text_rise;
  }
  out.reached = statistic(reached);
  out.step_at_matched = statistic(step);
  out.target_at_matched = statistic(learned);
  out.target_at_end = statistic(target);
  out.drop_at_matched = statistic(drop_matched);
  out.drop_at_end = statistic(drop_end);
  out.text_rise_at_matched = statistic(rise_matched);
  out.text_rise_at_end = statistic(rise_end);
  out.trainable_per_batch = seeds.front()->trainable_per_batch;
}

Statistic difference(const Statistic& one, const Statistic& other) {
  std::vector<std::optional<double>> values;
  for (std::size_t i = 0; i < one.per_seed.size(); ++i) {
    values.emplace_back();
    if (one.per_seed[i] && other.per_seed[i]) values.back() = *one.per_seed[i] - *other.per_seed[i];
  }
  return statistic(values);
}

}  // namespace

const FinetuneRun& SweepResults::run(std::size_t method, std::size_t setting,
                                     std::size_t seed) const {
  for (const FinetuneRun& each : finetune) {
    if (each.method == method && each.setting == setting && each.seed == seed) return each;
  }
  fail("[pareto] no run of method {}, setting {}, seed {}", method, setting, seed);
}

Statistic statistic(std::vector<std::optional<double>> per_seed) {
  std::vector<double> values;
  for (const auto& value : per_seed) {
    if (value) values.push_back(*value);
  }
  Statistic out{.per_seed = std::move(per_seed), .mean = mean_or_nothing(values)};
  if (values.size() < 2) return out;
  double squares = 0;
  for (double value : values) squares += (value - *out.mean) * (value - *out.mean);
  out.sd = std::sqrt(squares / static_cast<double>(values.size() - 1));
  return out;
}

std::optional<double> relative_drop(const Trajectory& run, std::size_t checkpoint, Half half) {
  const double before = run.front().heldout.of(half);
  if (before <= 0) return std::nullopt;
  return (before - run[checkpoint].heldout.of(half)) / before;
}

double text_rise(const Trajectory& run, std::size_t checkpoint) {
  return run[checkpoint].text_loss - run.front().text_loss;
}

std::optional<MatchedPoint> matched_point(const Trajectory& run, Half half, double target) {
  const auto first = std::find_if(run.begin(), run.end(), [&](const Checkpoint& checkpoint) {
    return checkpoint.target.of(half) >= target;
  });
  if (first == run.end()) return std::nullopt;
  const auto now = static_cast<std::size_t>(first - run.begin());
  const auto at = [&](std::size_t i) {
    return MatchedPoint{static_cast<double>(run[i].step), run[i].target.of(half),
                        relative_drop(run, i, half), text_rise(run, i)};
  };
  if (now == 0) return at(0);
  const MatchedPoint below = at(now - 1), above = at(now);
  const double share = (target - below.target) / (above.target - below.target);
  const auto between = [&](double one, double other) { return one + share * (other - one); };
  MatchedPoint out{between(below.step, above.step), target, std::nullopt,
                   between(below.text_rise, above.text_rise)};
  if (below.drop && above.drop) out.drop = between(*below.drop, *above.drop);
  return out;
}

SettingScore score_setting(const std::vector<const FinetuneRun*>& seeds, double matched_target) {
  SettingScore score;
  std::vector<std::optional<double>> at_matched;
  std::vector<double> target_end, at_end;
  for (const FinetuneRun* run : seeds) {
    const std::size_t end = run->checkpoints.size() - 1;
    target_end.push_back(run->checkpoints[end].target.of(Half::choosing));
    if (const auto drop = relative_drop(run->checkpoints, end, Half::choosing)) {
      at_end.push_back(*drop);
    }
    const auto matched = matched_point(run->checkpoints, Half::choosing, matched_target);
    if (matched) ++score.seeds_reached;
    at_matched.push_back(matched ? matched->drop : std::nullopt);
  }
  score.drop_at_matched = statistic(at_matched);
  score.target_at_end = mean_of(target_end);
  score.drop_at_end = mean_or_nothing(at_end);
  return score;
}

namespace {

// Those that reached the target on the most seeds, and the seeds that all of them reached: others
// are no ground for a comparison, some are harder.
struct Candidates {
  std::vector<std::size_t> settings, seeds;
};

Candidates candidates_of(const std::vector<SettingScore>& scores) {
  Candidates out;
  std::size_t most = 0;
  for (const SettingScore& score : scores) most = std::max(most, score.seeds_reached);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (scores[i].seeds_reached == most) out.settings.push_back(i);
  }
  for (std::size_t seed = 0; seed < scores.at(0).drop_at_matched.per_seed.size(); ++seed) {
    if (std::all_of(out.settings.begin(), out.settings.end(), [&](std::size_t i) {
          return scores[i].drop_at_matched.per_seed[seed].has_value();
        })) {
      out.seeds.push_back(seed);
    }
  }
  return out;
}

}  // namespace

bool chosen_without_shared_seed(const std::vector<SettingScore>& scores) {
  const Candidates candidates = candidates_of(scores);
  return candidates.settings.size() > 1 && candidates.seeds.empty() &&
         scores[candidates.settings[0]].seeds_reached > 0;
}

std::size_t best_setting(const std::vector<SettingScore>& scores) {
  const auto [candidates, seeds] = candidates_of(scores);
  const auto drop = [&, &seeds = seeds](const SettingScore& score) {
    double sum = 0;
    for (const std::size_t seed : seeds) sum += *score.drop_at_matched.per_seed[seed];
    return sum;
  };
  // One order for all, so that the choice does not depend on that of the list; ties go to the
  // first.
  const auto rank = [&](std::size_t i) {
    return std::tuple(drop(scores[i]), -scores[i].target_at_end, scores[i].drop_at_end.value_or(0));
  };
  return *std::min_element(candidates.begin(), candidates.end(),
                           [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
}

ParetoAnalysis analyse(const ParetoPlan& plan, const SweepResults& results) {
  ParetoAnalysis out;
  const auto runs_of = [&](std::size_t method, std::size_t setting) {
    std::vector<const FinetuneRun*> runs;
    for (std::size_t seed = 0; seed < plan.seeds.size(); ++seed) {
      runs.push_back(&results.run(method, setting, seed));
    }
    return runs;
  };
  std::optional<std::size_t> reference;
  for (std::size_t method = 0; method < plan.methods.size(); ++method) {
    if (plan.methods[method].name == kReferenceMethod) reference = method;
    MethodSummary summary;
    for (std::size_t setting = 0; setting < plan.methods[method].settings.size(); ++setting) {
      const auto runs = runs_of(method, setting);
      summary.scores.push_back(score_setting(runs, plan.matched_target));
      for (const FinetuneRun* run : runs) summary.seconds += run->seconds;
    }
    summary.setting = best_setting(summary.scores);
    summarise(runs_of(method, summary.setting), plan.matched_target, summary);
    out.methods.push_back(std::move(summary));
  }
  for (MethodSummary& method : out.methods) {
    const Statistic none = statistic(std::vector<std::optional<double>>(plan.seeds.size()));
    method.drop_minus_reference =
        reference ? difference(method.drop_at_matched, out.methods[*reference].drop_at_matched)
                  : none;
  }
  std::vector<std::optional<double>> off;
  for (const PretrainRun& run : results.pretrain) {
    off.emplace_back();
    if (run.heldout.all > 0 && run.heldout_memory_off) {
      off.back() = (run.heldout.all - run.heldout_memory_off->all) / run.heldout.all;
    }
  }
  out.memory_off_drop = statistic(off);
  return out;
}

std::vector<Point> pareto_frontier(std::vector<Point> points) {
  std::sort(points.begin(), points.end(), [](const Point& one, const Point& other) {
    return one.first != other.first ? one.first > other.first : one.second > other.second;
  });
  std::vector<Point> out;
  for (const Point& point : points) {
    if (out.empty() || point.second > out.back().second) out.push_back(point);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace slotwise
