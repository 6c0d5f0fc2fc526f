#include "train/optimizer_setup.h"

#include <fmt/format.h>

#include <cstdio>

#include "core/error.h"

namespace slotwise {

OptimizerSettings read_optimizer_settings(const Options& options, const std::string& section) {
  OptimizerSettings s;
  s.name = options.text(section + ".optimizer", s.name);
  const auto fraction = [&](const char* key, double otherwise) {
    return options.number_within(section + "." + key, 0.0, kMostDecay, otherwise);
  };
  s.adamw.beta1 = fraction("beta1", s.adamw.beta1);
  s.adamw.beta2 = fraction("beta2", s.adamw.beta2);
  s.momentum = fraction("momentum", s.momentum);
  s.adamw.epsilon = options.number_within(section + ".epsilon", 1e-30, 1.0, s.adamw.epsilon);
  s.weight_decay = options.number_within(section + ".weight_decay", 0.0, 1e6, s.weight_decay);
  s.clip = options.number_within(section + ".clip", 0.0, 1e30, s.clip);
  if (s.name != "adamw" && s.name != "sgd") {
    user_error("'{}.optimizer' must be adamw or sgd, got '{}'", section, s.name);
  }
  return s;
}

Schedule read_schedule(const Options& options, const std::string& section, std::int64_t steps) {
  Schedule schedule;
  schedule.decay = parse_decay(options.text(section + ".schedule", "constant"));
  schedule.warmup_steps = options.count(section + ".warmup", 0, 0);
  schedule.floor = options.number_within(section + ".floor", 0.0, 1.0, 0.0);
  schedule.total_steps = steps;
  return schedule;
}

void warn_of_long_warmup(const Schedule& schedule, const std::string& section) {
  if (schedule.warmup_steps <= schedule.total_steps) return;
  fmt::print(stderr,
             "warning: {}.warmup ({} steps) is longer than the run ({} steps): the learning rate "
             "never gets to what was asked for\n",
             section, schedule.warmup_steps, schedule.total_steps);
}

std::unique_ptr<Optimizer> make_optimizer(const std::vector<Parameter>& parameters,
                                          const OptimizerSettings& settings) {
  std::vector<OptimizedParameter> chosen;
  for (const Parameter& parameter : parameters) {
    if (!parameter.variable.requires_grad()) continue;
    const bool values = parameter.kind == ParameterKind::values;
    const bool embeds = parameter.kind == ParameterKind::embedding;
    const bool decays = embeds || parameter.kind == ParameterKind::matrix;
    chosen.push_back({.name = parameter.name,
                      .variable = parameter.variable,
                      .rate_scale = values   ? settings.value_rate_scale
                                    : embeds ? settings.embedding_rate_scale
                                             : 1.0,
                      .weight_decay = decays ? settings.weight_decay : 0.0,
                      .clip_group = values ? 1 : 0});
  }
  if (settings.name == "sgd") return make_sgd(std::move(chosen), settings.momentum, settings.clip);
  return make_adamw(std::move(chosen), settings.adamw, settings.clip);
}

}  // namespace slotwise
