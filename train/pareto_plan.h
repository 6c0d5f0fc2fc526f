// What a sweep is made of: the settings of each method and the seeds, read from the sections
// [pareto] and [evaluate] of the settings.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "train/answer_measure.h"
#include "train/options.h"

namespace slotwise {

struct ParetoSetting {
  double learning_rate = 0;
  std::int64_t rows = 0;  // t, of the methods that select rows; otherwise 0
  std::int64_t rank = 0;  // of LoRA; otherwise 0

  bool operator==(const ParetoSetting&) const = default;
};

std::string short_label(const ParetoSetting& setting);  // "t256-lr0.05", a folder's name
std::string long_label(const ParetoSetting& setting);   // "t 256, rate 0.05", for people

struct ParetoMethod {
  std::string name;       // of the table and of the folders
  std::string method;     // --method of slotwise-finetune
  std::string optimizer;  // "" where the method has no choice
  std::vector<ParetoSetting> settings;
};

struct ParetoPlan {
  std::string name;     // of the preset
  std::string target;   // the question set that is the new knowledge
  std::string heldout;  // the question set that is the old knowledge
  AnswerMeasure measure = AnswerMeasure::exact;
  double matched_target = 0;
  std::vector<std::int64_t> seeds;
  std::vector<ParetoMethod> methods;
};

// `seeds` replaces those of the settings unless it is empty. UserError naming the wrong key.
ParetoPlan read_pareto_plan(const Options& options, const std::vector<std::int64_t>& seeds);

}  // namespace slotwise
