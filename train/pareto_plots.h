// The pictures of a sweep, drawn by gnuplot from one script that holds its data:
//   pareto   learning against forgetting, a point per run, and the frontier
//   matched  what each method forgot when it had learned as much as the others
//   curves   target and held-out accuracy over the steps, chosen settings
//   text     learning against the rise of the text loss, chosen settings
// All on the reporting half of the prompts.
#pragma once

#include <array>
#include <string>

#include "train/pareto_analysis.h"
#include "train/pareto_plan.h"

namespace slotwise {

inline constexpr std::array kParetoFigures = {"pareto", "matched", "curves", "text"};

std::string pareto_script(const ParetoPlan& plan, const SweepResults& results,
                          const ParetoAnalysis& analysis);

}  // namespace slotwise
