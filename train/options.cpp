#include "train/options.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "train/presets.h"
#include "train/toml_reader.h"

namespace slotwise {

struct Options::State {
  nlohmann::json tree = nlohmann::json::object();
  std::string origin = "settings";
  std::set<std::string> read;
};

namespace {

const nlohmann::json kNothing;

constexpr std::array<std::string_view, 9> kSections = {
    "name", "data", "model", "memory", "pretrain", "background", "finetune", "evaluate", "pareto"};

nlohmann::json::json_pointer pointer(const std::string& path) {
  std::string text = "/" + path;
  for (char& c : text) {
    if (c == '.') c = '/';
  }
  return nlohmann::json::json_pointer(text);
}

void unread_keys(const nlohmann::json& node, const std::string& path,
                 const std::set<std::string>& read, std::vector<std::string>& out) {
  if (read.contains(path)) return;
  if (!node.is_object()) {
    out.push_back(path);
    return;
  }
  for (const auto& [key, value] : node.items()) unread_keys(value, path + "." + key, read, out);
}

}  // namespace

Options::Options() : state_(std::make_shared<State>()) {}

Options Options::from_json(const nlohmann::json& tree) {
  Options options;
  options.state_->tree = tree;
  return options;
}

namespace {

nlohmann::json preset_tree(const std::string& name);

// The preset that a tree builds upon by `extends`, with the tree laid over it: tables merge, any
// other value (a list, too) takes the place of the preset's.
nlohmann::json extended(nlohmann::json tree, const std::string& origin) {
  const auto found = tree.find("extends");
  if (found == tree.end()) return tree;
  if (!found->is_string()) {
    user_error("{}: 'extends' must be the name of a preset, got {}", origin, found->dump());
  }
  nlohmann::json base = preset_tree(found->get<std::string>());
  tree.erase("extends");
  base.merge_patch(tree);
  return base;
}

nlohmann::json preset_tree(const std::string& name) {
  for (const Preset& preset : presets()) {
    if (preset.name != name) continue;
    const std::string origin = "preset " + name;
    return extended(read_toml_text(preset.toml, origin), origin);
  }
  std::string known;
  for (const std::string& each : Options::preset_names()) {
    known += (known.empty() ? "" : ", ") + each;
  }
  user_error("there is no preset '{}'; the presets are {}", name, known);
}

}  // namespace

Options Options::from_file(const std::filesystem::path& toml) {
  Options options = from_json(extended(read_toml_file(toml), toml.string()));
  options.state_->origin = toml.string();
  return options;
}

Options Options::from_preset(const std::string& name) {
  Options options = from_json(preset_tree(name));
  options.state_->origin = "preset " + name;
  return options;
}

std::vector<std::string> Options::preset_names() {
  std::vector<std::string> names;
  for (const Preset& preset : presets()) names.push_back(preset.name);
  return names;
}

void Options::override_with(const std::string& assignment) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    user_error("an override is section.key=value, got '{}'", assignment);
  }
  const std::string path = assignment.substr(0, equals), value = assignment.substr(equals + 1);
  if (path != "name" && std::find(kSections.begin(), kSections.end(), path) != kSections.end()) {
    user_error("an override sets one value of a section, as {0}.key=value; got '{1}'", path,
               assignment);
  }
  try {
    state_->tree[pointer(path)] = read_toml_value(value);
  } catch (const nlohmann::json::exception&) {
    user_error("the override '{}' does not fit: '{}' is not a section", assignment,
               path.substr(0, path.rfind('.')));
  }
}

bool Options::has(const std::string& path) const {
  return state_->tree.contains(pointer(path));
}

const nlohmann::json& Options::tree(const std::string& path) const {
  state_->read.insert("." + path);
  const auto where = pointer(path);
  return state_->tree.contains(where) ? state_->tree.at(where) : kNothing;
}

namespace {

const nlohmann::json& require(const Options& options, const std::string& origin,
                              const std::string& path, const char* what) {
  const nlohmann::json& value = options.tree(path);
  if (value.is_null()) {
    user_error("{}: '{}' is missing; give it in the file or with --set {}={}", origin, path, path,
               what);
  }
  return value;
}

[[noreturn]] void wrong_kind(const std::string& origin, const std::string& path,
                             const char* expected, const nlohmann::json& got) {
  user_error("{}: '{}' must be {}, got {}", origin, path, expected, got.dump());
}

}  // namespace

std::int64_t Options::integer(const std::string& path) const {
  const nlohmann::json& value = require(*this, state_->origin, path, "1");
  if (!value.is_number_integer()) wrong_kind(state_->origin, path, "an integer", value);
  return value.get<std::int64_t>();
}

double Options::number(const std::string& path) const {
  const nlohmann::json& value = require(*this, state_->origin, path, "1.0");
  if (!value.is_number()) wrong_kind(state_->origin, path, "a number", value);
  const double number = value.get<double>();
  if (!std::isfinite(number)) {
    user_error("{}: '{}' must be a finite number, got {}", state_->origin, path, number);
  }
  return number;
}

std::int64_t Options::count(const std::string& path, std::int64_t least) const {
  const std::int64_t value = integer(path);
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  if (value < least || value > kMost) {
    user_error("{}: '{}' must be from {} to {}, got {}", state_->origin, path, least, kMost, value);
  }
  return value;
}

std::int64_t Options::count(const std::string& path, std::int64_t least,
                            std::int64_t otherwise) const {
  return tree(path).is_null() ? otherwise : count(path, least);
}

double Options::number_within(const std::string& path, double low, double high,
                              double otherwise) const {
  const double value = number(path, otherwise);
  if (value < low || value > high) {
    user_error("{}: '{}' must be from {} to {}, got {}", state_->origin, path, low, high, value);
  }
  return value;
}

std::string Options::text(const std::string& path) const {
  const nlohmann::json& value = require(*this, state_->origin, path, "...");
  if (!value.is_string()) wrong_kind(state_->origin, path, "a text", value);
  return value.get<std::string>();
}

std::int64_t Options::integer(const std::string& path, std::int64_t otherwise) const {
  return tree(path).is_null() ? otherwise : integer(path);
}

double Options::number(const std::string& path, double otherwise) const {
  return tree(path).is_null() ? otherwise : number(path);
}

std::string Options::text(const std::string& path, const std::string& otherwise) const {
  return tree(path).is_null() ? otherwise : text(path);
}

bool Options::flag(const std::string& path, bool otherwise) const {
  const nlohmann::json& value = tree(path);
  if (value.is_null()) return otherwise;
  if (!value.is_boolean()) wrong_kind(state_->origin, path, "true or false", value);
  return value.get<bool>();
}

void Options::refuse_unread(const std::string& section) const {
  const auto where = pointer(section);
  if (!state_->tree.contains(where)) return;
  std::vector<std::string> unread;
  unread_keys(state_->tree.at(where), "." + section, state_->read, unread);
  if (unread.empty()) return;
  std::string list;
  for (const std::string& key : unread) list += (list.empty() ? "" : ", ") + key.substr(1);
  std::string known;
  for (const std::string& path : state_->read) {
    if (path.rfind("." + section + ".", 0) != 0) continue;
    known += (known.empty() ? "" : ", ") + path.substr(section.size() + 2);
  }
  user_error("{}: unknown setting {}; [{}] knows {}", state_->origin, list, section, known);
}

void Options::refuse_unknown_sections() const {
  for (const auto& [key, value] : state_->tree.items()) {
    if (std::find(kSections.begin(), kSections.end(), key) != kSections.end()) continue;
    user_error("{}: there is no section [{}]; the sections are {}", state_->origin, key,
               fmt::join(kSections.begin() + 1, kSections.end(), ", "));
  }
}

std::string Options::json_text() const {
  return state_->tree.dump(2);
}

}  // namespace slotwise
