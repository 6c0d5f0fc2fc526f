#include "train/toml_reader.h"

#include <toml++/toml.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"

namespace slotwise {
namespace {

nlohmann::json convert(const toml::node& node) {
  if (const auto* table = node.as_table()) {
    nlohmann::json out = nlohmann::json::object();
    for (const auto& [key, value] : *table) out[std::string(key.str())] = convert(value);
    return out;
  }
  if (const auto* array = node.as_array()) {
    nlohmann::json out = nlohmann::json::array();
    for (const auto& value : *array) out.push_back(convert(value));
    return out;
  }
  if (const auto* value = node.as_integer()) return value->get();
  if (const auto* value = node.as_floating_point()) return value->get();
  if (const auto* value = node.as_boolean()) return value->get();
  if (const auto* value = node.as_string()) return value->get();
  fail("[toml] dates and times are not used in settings");
}

}  // namespace

nlohmann::json read_toml_text(const std::string& text, const std::string& origin) {
  try {
    return convert(toml::parse(text));
  } catch (const toml::parse_error& e) {
    user_error("{}, line {}: {}", origin, e.source().begin.line, e.description());
  }
}

nlohmann::json read_toml_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) user_error("cannot read {}: {}", path.string(), std::strerror(errno));
  std::stringstream text;
  text << file.rdbuf();
  return read_toml_text(text.str(), path.string());
}

nlohmann::json read_toml_value(const std::string& text) {
  try {
    return convert(*toml::parse("value = " + text).get("value"));
  } catch (const toml::parse_error&) {
    return text;
  }
}

}  // namespace slotwise
