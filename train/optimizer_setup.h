// From settings to an optimizer over a model's parameters: which get weight decay, which rate,
// which clip group.
#pragma once

#include <memory>

#include "layers/parameter.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "train/options.h"

namespace slotwise {

// Of Adam's betas: a decay rate of 1 would never forget, and divide by zero.
constexpr double kMostDecay = 0.999999;

struct OptimizerSettings {
  std::string name = "adamw";  // or "sgd"
  AdamWOptions adamw;
  double momentum = 0.0;      // sgd
  double weight_decay = 0.0;  // matrices and embeddings; never gains, biases or memory values
  double clip = 1.0;          // 0: none; memory values are a group of their own
  double value_rate_scale = 1.0;
  double embedding_rate_scale = 1.0;
};

// Keys optimizer, beta1, beta2, epsilon, momentum, weight_decay, clip of a section.
OptimizerSettings read_optimizer_settings(const Options& options, const std::string& section);
// Keys schedule, warmup, floor.
Schedule read_schedule(const Options& options, const std::string& section, std::int64_t steps);
// On standard error; said by the root alone.
void warn_of_long_warmup(const Schedule& schedule, const std::string& section);

// Over every parameter that requires a gradient.
std::unique_ptr<Optimizer> make_optimizer(const std::vector<Parameter>& parameters,
                                          const OptimizerSettings& settings);

}  // namespace slotwise
