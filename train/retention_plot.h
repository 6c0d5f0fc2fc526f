// The matrix of retention as a picture: a row a time of asking, a column a group of facts.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace slotwise {

// `retention`: that of result.json.
std::string retention_script(const nlohmann::json& retention);
// Writes retention.gp, retention.png and retention.svg; false where there is no gnuplot.
bool draw_retention(const nlohmann::json& retention, const std::filesystem::path& folder);

}  // namespace slotwise
