// The [evaluate] section of a settings file.
#pragma once

#include "train/evaluation.h"
#include "train/options.h"

namespace slotwise {

EvaluationOptions read_evaluation_options(const Options& options);
nlohmann::json evaluation_json(const EvaluationOptions& options);  // for run.json

}  // namespace slotwise
