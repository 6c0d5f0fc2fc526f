// The [evaluate] section of a settings file.
#pragma once

#include "data/dataset.h"
#include "train/evaluation.h"
#include "train/options.h"

namespace slotwise {

// UserError where `target` or `heldout` names none of the dataset's question sets.
EvaluationOptions read_evaluation_options(const Options& options, const DatasetManifest& dataset);
nlohmann::json evaluation_json(const EvaluationOptions& options);  // for run.json

}  // namespace slotwise
