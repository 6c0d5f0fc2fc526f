// TOML to JSON, so that the rest of the programs know one kind of tree.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace slotwise {

nlohmann::json read_toml_file(const std::filesystem::path& path);
nlohmann::json read_toml_text(const std::string& text, const std::string& origin);
// One value as it would stand after "key = "; plain words count as strings.
nlohmann::json read_toml_value(const std::string& text);

}  // namespace slotwise
