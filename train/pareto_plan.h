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
  // What it changes in [finetune], as arguments of --set: finetune.rule="kl".
  std::vector<std::string> overrides = {};
  std::string background = {};  // finetune.background as this method has it
  std::string group = {};       // methods of one group share a colour; "": a group of its own
};

// A background beside the plain one, made for the methods that name it.
struct ParetoBackground {
  std::string name;
  std::vector<std::string> arguments;  // of slotwise-background
  double passes = 0;                   // rows it reads, to judge how long it takes
};

struct ParetoPlan {
  std::string name;     // of the preset
  std::string target;   // the question set that is the new knowledge
  std::string heldout;  // the question set that is the old knowledge
  AnswerMeasure measure = AnswerMeasure::exact;
  double matched_target = 0;
  std::vector<std::int64_t> seeds;
  std::vector<ParetoMethod> methods;
  std::vector<ParetoBackground> backgrounds = {};
};

// Of each method the number of its group, by first appearance: the series that pictures draw it as.
std::vector<std::size_t> series_of_methods(const ParetoPlan& plan);
// What a legend calls the series of a method.
std::string series_name(const ParetoMethod& method);

// `seeds` replaces those of the settings unless it is empty. UserError naming the wrong key.
ParetoPlan read_pareto_plan(const Options& options, const std::vector<std::int64_t>& seeds);

}  // namespace slotwise
