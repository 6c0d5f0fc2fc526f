// The finetuning runs of a sweep, looked at before its pretraining.
#pragma once

#include "train/options.h"
#include "train/pareto_plan.h"

namespace slotwise {

// UserError, naming the method, for what a finetuning run would refuse of its settings.
void check_methods(const ParetoPlan& plan, const Options& options);

}  // namespace slotwise
