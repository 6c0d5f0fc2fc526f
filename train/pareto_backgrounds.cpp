#include "train/pareto_backgrounds.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/dataset.h"
#include "memory/background_usage.h"
#include "train/background_run.h"

namespace slotwise {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Names = std::set<std::string>;

void expect_name(const std::string& where, const char* what, const std::string& name,
                 const Names& known) {
  if (known.contains(name)) return;
  user_error("{}: the data has no {} '{}'; it has {}", where, what, name,
             known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", ")));
}

void check_names(const json& background, const std::string& where, const DatasetNames& names) {
  for (const json& part : background.value("parts", json::array())) {
    expect_name(where, "part", part.get<std::string>(), names.parts);
  }
  if (background.contains("questions")) {
    expect_name(where, "questions", background["questions"].get<std::string>(), names.questions);
  }
  if (background.value("facts", false) && !names.facts) {
    user_error("{}: the data has no facts; count over parts or questions", where);
  }
}

// As the program will see them: those of [background] with its own over them.
void check_settings(const json& background, const std::string& where, const Options& options) {
  Options own = Options::from_json(json::parse(options.json_text()));
  const json settings = background.value("settings", json::object());
  for (const auto& [key, value] : settings.items()) {
    own.override_with(fmt::format("background.{}={}", key, value.dump()));
  }
  try {
    check_background_settings(own);
    background_path("", background.value("name", ""));
  } catch (const UserError& error) {
    user_error("{}: {}", where, error.what());
  }
}

}  // namespace

DatasetNames names_to_be_made(const Options& options) {
  const std::string kind = options.text("data.kind");
  const Names parts = {"old_statements", "old_questions", "text"};
  if (kind == "biographies") return {parts, {"old", "new", "new_statements"}, true};
  if (kind == "wordnet") return {parts, {"old", "new"}, true};
  Names files;
  if (const json& named = options.tree("data.questions"); named.is_object()) {
    for (const auto& [role, file] : named.items()) files.insert(role);
  }
  if (kind == "text") return {{"text"}, files, !options.text("data.facts", "").empty()};
  if (kind == "facts") {
    files.insert({"old", "old_seen", "new"});
    return {{"questions", "text"}, files, true};
  }
  user_error("[data] kind must be biographies, facts, text or wordnet, got '{}'", kind);
}

DatasetNames names_in(const fs::path& data) {
  const DatasetManifest manifest = read_manifest(data);
  DatasetNames out{.parts = {}, .questions = {}, .facts = !manifest.facts.empty()};
  for (const DatasetManifest::Part& part : manifest.parts) out.parts.insert(part.name);
  for (const auto& [role, file] : manifest.questions) out.questions.insert(role);
  return out;
}

void check_backgrounds(const Options& options, const std::vector<fs::path>& data) {
  check_settings(json::object(), "[background]", options);
  for (const json& background : options.tree("pareto.backgrounds")) {
    const std::string where = "pareto.backgrounds, " + background.at("name").get<std::string>();
    const int corpora = static_cast<int>(background.contains("parts")) +
                        static_cast<int>(background.value("facts", false)) +
                        static_cast<int>(background.contains("questions"));
    if (corpora > 1) user_error("{}: give one of parts, facts and questions", where);
    check_settings(background, where, options);
    for (const fs::path& folder : data) {
      check_names(background, where,
                  !folder.empty() && fs::exists(folder / "dataset.json")
                      ? names_in(folder)
                      : names_to_be_made(options));
    }
  }
}

}  // namespace slotwise
