// What computed the results of a sweep: recorded in its settings.json, shown in its summary and its
// report. Results of two builds do not stand in one sweep: a difference between methods could be
// one between builds.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace slotwise {

// {slotwise, commit, compiler, architecture, gemm, processor, processor_features} of this program.
nlohmann::json build_versions();

// build_versions() and `programs`, a SHA-256 over the programs that a sweep runs. Shared libraries
// are not in it: the GEMM library counts by the version that the build found.
nlohmann::json sweep_versions(const std::filesystem::path& programs,
                              const std::vector<std::string>& verbs);

// "commit is 5a37e2c there and 653ba99 now", or "" where both are one build's.
std::string other_build(const nlohmann::json& there, const nlohmann::json& now);

}  // namespace slotwise
