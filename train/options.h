// Settings of a run: a TOML file or a built-in preset, then overrides "section.key=value". Every
// key must be one that the program reads: a misspelt key is an error, not a default. A file that
// begins with extends = "PRESET" states only what differs from that preset.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace slotwise {

class Options {
 public:
  Options();
  static Options from_file(const std::filesystem::path& toml);
  static Options from_preset(const std::string& name);  // UserError listing the presets
  static Options from_json(const nlohmann::json& tree);
  static std::vector<std::string> preset_names();

  // "pretrain.steps=100"; the value as in TOML, or else a plain string.
  void override_with(const std::string& assignment);

  bool has(const std::string& path) const;
  // Without a default the key must be there.
  std::int64_t integer(const std::string& path) const;
  std::int64_t integer(const std::string& path, std::int64_t otherwise) const;
  double number(const std::string& path) const;  // finite
  double number(const std::string& path, double otherwise) const;
  // The same within bounds, both included. A count goes from `least` to 2^31 - 1.
  std::int64_t count(const std::string& path, std::int64_t least) const;
  std::int64_t count(const std::string& path, std::int64_t least, std::int64_t otherwise) const;
  double number_within(const std::string& path, double low, double high, double otherwise) const;
  std::string text(const std::string& path) const;
  std::string text(const std::string& path, const std::string& otherwise) const;
  bool flag(const std::string& path, bool otherwise) const;
  // Any value as JSON (arrays, tables); null when absent.
  const nlohmann::json& tree(const std::string& path) const;

  // UserError naming the keys of `section` that nobody has read.
  void refuse_unread(const std::string& section) const;
  // UserError naming a section (or a key outside all sections) that no program knows.
  void refuse_unknown_sections() const;
  std::string json_text() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace slotwise
