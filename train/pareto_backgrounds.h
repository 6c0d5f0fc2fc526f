// What the backgrounds of a sweep ask for, looked at before any run: each is counted only after a
// pretraining, and a misspelt part of the data would be found hours late.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "train/options.h"

namespace slotwise {

// What a background can be counted over.
struct DatasetNames {
  std::set<std::string> parts, questions;
  bool facts = false;
};

// Of the dataset that slotwise-prepare will make of [data]. UserError for a kind that there is not.
DatasetNames names_to_be_made(const Options& options);
DatasetNames names_in(const std::filesystem::path& data);  // of one that is there

// UserError where a background of [[pareto.backgrounds]], or the plain one of [background], has
// settings that slotwise-background would refuse, or asks for what a dataset lacks. `data`: the
// folders of the sweep's datasets, made already or not; "": one to be made.
void check_backgrounds(const Options& options, const std::vector<std::filesystem::path>& data);

}  // namespace slotwise
