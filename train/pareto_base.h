// Sweeps of one world share its datasets and pretrained models: what one sweep has pretrained,
// another takes over instead of making it again.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>

#include "train/pareto_plan.h"

namespace slotwise {

// Copies DIR/seed-S/data and DIR/seed-S/pretrain of every seed of `plan` that `out` has none of,
// without backgrounds: they are counted anew. UserError where `from` was made with other settings
// of the world (data, model, memory, pretrain, evaluate, which `settings` has now) or has not
// finished such a seed. What was taken, and which build had made it, is noted in `out`.
// To be called before anything is written; take_pretrained() does the copying.
void check_pretrained(const std::filesystem::path& from, const std::filesystem::path& out,
                      const ParetoPlan& plan, const nlohmann::json& settings);
void take_pretrained(const std::filesystem::path& from, const std::filesystem::path& out,
                     const ParetoPlan& plan);

// The file of that note.
inline constexpr const char* kPretrainedNote = "pretrained.json";

// What computed the results in `out`: versions of settings.json, and `pretrained` = {"from",
// "versions"} where the models came from another sweep.
nlohmann::json versions_of_results(const std::filesystem::path& out);

}  // namespace slotwise
