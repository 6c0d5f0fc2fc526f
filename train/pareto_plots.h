// The pictures of a sweep, drawn by gnuplot from one script that holds its data:
//   pareto   learning against forgetting, a point per run, and the frontier
//   matched  what each method forgot when it had learned as much as the others
//   curves   target and held-out score over the steps, chosen settings
//   text     learning against the rise of the text loss, chosen settings
// All on the reporting half of the prompts.
#pragma once

#include <array>
#include <string>

#include "train/pareto_analysis.h"
#include "train/pareto_plan.h"

namespace slotwise {

struct ParetoFigure {
  const char* name;   // of its files
  const char* title;  // read out where the picture is not seen

  std::string file(const char* ending) const { return std::string(name) + ending; }
};
inline constexpr std::array kParetoFigures = {
    ParetoFigure{"pareto", "New knowledge learned against old knowledge kept, a point per run"},
    ParetoFigure{"matched", "Old knowledge lost at matched learning"},
    ParetoFigure{"curves", "New and old knowledge over the finetuning steps"},
    ParetoFigure{"text", "New knowledge learned against the rise of the text loss"}};

std::string pareto_script(const ParetoPlan& plan, const SweepResults& results,
                          const ParetoAnalysis& analysis);

}  // namespace slotwise
