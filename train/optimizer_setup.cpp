#include "train/optimizer_setup.h"

#include "core/error.h"

namespace slotwise {

OptimizerSettings read_optimizer_settings(const Options& options, const std::string& section) {
  OptimizerSettings s;
  s.name = options.text(section + ".optimizer", s.name);
  s.adamw.beta1 = options.number(section + ".beta1", s.adamw.beta1);
  s.adamw.beta2 = options.number(section + ".beta2", s.adamw.beta2);
  s.adamw.epsilon = options.number(section + ".epsilon", s.adamw.epsilon);
  s.momentum = options.number(section + ".momentum", s.momentum);
  s.weight_decay = options.number(section + ".weight_decay", s.weight_decay);
  s.clip = options.number(section + ".clip", s.clip);
  return s;
}

Schedule read_schedule(const Options& options, const std::string& section, std::int64_t steps) {
  Schedule schedule;
  schedule.decay = parse_decay(options.text(section + ".schedule", "constant"));
  schedule.warmup_steps = options.integer(section + ".warmup", 0);
  schedule.floor = options.number(section + ".floor", 0.0);
  schedule.total_steps = steps;
  return schedule;
}

std::unique_ptr<Optimizer> make_optimizer(const std::vector<Parameter>& parameters,
                                          const OptimizerSettings& settings) {
  std::vector<OptimizedParameter> chosen;
  for (const Parameter& parameter : parameters) {
    if (!parameter.variable.requires_grad()) continue;
    const bool values = parameter.kind == ParameterKind::values;
    const bool decays =
        parameter.kind == ParameterKind::matrix || parameter.kind == ParameterKind::embedding;
    chosen.push_back({.name = parameter.name,
                      .variable = parameter.variable,
                      .rate_scale = values ? settings.value_rate_scale : 1.0,
                      .weight_decay = decays ? settings.weight_decay : 0.0,
                      .clip_group = values ? 1 : 0});
  }
  if (settings.name == "adamw") return make_adamw(std::move(chosen), settings.adamw, settings.clip);
  if (settings.name == "sgd") return make_sgd(std::move(chosen), settings.momentum, settings.clip);
  user_error("optimizer must be adamw or sgd, got '{}'", settings.name);
}

}  // namespace slotwise
