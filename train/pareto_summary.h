// The result files of a sweep: read from its runs, written as runs.csv and summary.json. "At
// matched" is where a run passes the matched target: the straight line between the last evaluation
// below it and the first that reaches it, the same for every method and both halves of the prompts,
// so that a method that learns in large steps is not charged for the overshoot. A run that is past
// the target at step 0 is taken there. target_at_matched is therefore the target itself, but for
// such a run.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "train/pareto_analysis.h"
#include "train/pareto_plan.h"

namespace slotwise {

// Reads result.json of every run of the plan. UserError where one is missing or is none.
SweepResults read_sweep_results(const ParetoPlan& plan, const std::filesystem::path& out);

// A row per run and evaluated step; the columns are in the first line.
std::string runs_csv(const ParetoPlan& plan, const SweepResults& results,
                     const ParetoAnalysis& analysis);

// {preset, matched_target, memory_off_drop, versions, settings_per_method, seconds, methods}. Drops
// are fractions, positive = lost; a seed without a value is null and left out of the mean.
nlohmann::json summary_json(const ParetoPlan& plan, const SweepResults& results,
                            const ParetoAnalysis& analysis, const nlohmann::json& versions);

// A sentence for sweeps with so few prompts that their figures mean nothing; else empty.
std::string too_small_warning(const SweepResults& results);

// The table for the terminal.
std::string summary_table(const ParetoPlan& plan, const ParetoAnalysis& analysis);

// "8.5 ± 3.8", the mean and spread times `scale`; "8.5" for one seed and "-" for none.
std::string spread_text(const Statistic& statistic, double scale, int decimals);
std::string per_seed_text(const Statistic& statistic, double scale, int decimals);
std::string reached_text(const Statistic& reached);  // "2 of 3"

}  // namespace slotwise
