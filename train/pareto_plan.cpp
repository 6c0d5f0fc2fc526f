#include "train/pareto_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "train/finetune_setup.h"

namespace slotwise {
namespace {

using nlohmann::json;

// The shortest text of a rate that reads back as the same number: 5e-4, 0.05, 50.
std::string rate_text(double rate) {
  if (rate >= 0.01) return fmt::format("{}", rate);
  for (int digits = 0;; ++digits) {
    const std::string text = fmt::format("{:.{}e}", rate, digits);
    if (digits < 16 && std::stod(text) != rate) continue;
    const std::size_t exponent = text.find('e');
    return text.substr(0, exponent) + "e" + std::to_string(std::stoi(text.substr(exponent + 1)));
  }
}

void refuse_unknown(const json& table, std::initializer_list<const char*> known,
                    const std::string& where) {
  for (const auto& [key, value] : table.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      user_error("{}: unknown key '{}'; the keys are {}", where, key,
                 fmt::join(known.begin(), known.end(), ", "));
    }
  }
}

bool selects_rows(const std::string& method) {
  return method == "smf" || method == "tf" || method == "random";
}

std::int64_t count(const json& table, const char* key, bool wanted, const std::string& where) {
  if (!table.contains(key)) {
    if (wanted) user_error("{}: '{}' is missing", where, key);
    return 0;
  }
  if (!wanted) user_error("{}: the method has no '{}'; remove it", where, key);
  const json& value = table.at(key);
  if (!value.is_number_integer() || value.get<std::int64_t>() < 1) {
    user_error("{}: '{}' must be a positive integer, got {}", where, key, value.dump());
  }
  return value.get<std::int64_t>();
}

ParetoSetting read_setting(const json& table, const std::string& method, const std::string& where) {
  if (!table.is_object()) {
    user_error("{}: a setting is a table like {{learning_rate = 1e-4}}, got {}", where,
               table.dump());
  }
  refuse_unknown(table, {"learning_rate", "rows", "rank"}, where);
  ParetoSetting setting;
  const json rate = table.value("learning_rate", json());
  if (!rate.is_number() || rate.get<double>() <= 0) {
    user_error("{}: 'learning_rate' must be a positive number, got {}", where, rate.dump());
  }
  setting.learning_rate = rate.get<double>();
  setting.rows = count(table, "rows", selects_rows(method), where);
  setting.rank = count(table, "rank", method == "lora", where);
  return setting;
}

// Values as in TOML; for these kinds JSON is written the same.
std::vector<std::string> assignments(const json& table, const std::string& prefix) {
  std::vector<std::string> out;
  for (const auto& [key, value] : table.items()) {
    out.push_back(fmt::format("{}{}={}", prefix, key, value.dump()));
  }
  return out;
}

// {"finetune.rule" = "kl"}, as it stands in the settings.
std::vector<std::string> read_overrides(const json& table, const std::string& where) {
  if (table.is_null()) return {};
  if (!table.is_object()) {
    user_error("{}: 'overrides' must be a table like {{\"finetune.facts\" = 1}}, got {}", where,
               table.dump());
  }
  for (const auto& [key, value] : table.items()) {
    if (key.starts_with("finetune.") && !value.is_structured()) continue;
    user_error(
        "{}: an override sets one value of [finetune], like \"finetune.facts\" = 1; got {} "
        "= {}",
        where, key, value.dump());
  }
  return assignments(table, "");
}

ParetoMethod read_method(const json& table, const std::string& background) {
  if (!table.is_object() || !table.contains("name") || !table["name"].is_string()) {
    user_error("pareto.methods: every method is a table with a name");
  }
  ParetoMethod out;
  out.name = table["name"].get<std::string>();
  const std::string where = "pareto.methods, " + out.name;
  refuse_unknown(table, {"name", "method", "optimizer", "settings", "overrides", "group"}, where);
  const bool plain = std::all_of(out.name.begin(), out.name.end(),
                                 [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
  if (out.name.empty() || !plain) {
    user_error("{}: a name has letters, digits and '_' only, because folders are named after it",
               where);
  }
  const auto text = [&](const char* key) {
    const json value = table.value(key, json(""));
    if (!value.is_string()) user_error("{}: '{}' must be a text, got {}", where, key, value.dump());
    return value.get<std::string>();
  };
  out.method = text("method");
  out.optimizer = text("optimizer");
  out.group = text("group");
  const bool printable = std::all_of(out.group.begin(), out.group.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == ' ' || c == ',';
  });
  if (!printable) {
    user_error("{}: a group has letters, digits, '_', ',' and spaces only, got '{}'", where,
               out.group);
  }
  constexpr std::array kMethods = {"full", "lora", "smf", "tf", "random", "all_rows"};
  if (std::find(kMethods.begin(), kMethods.end(), out.method) == kMethods.end()) {
    user_error("{}: 'method' must be one of {}, got '{}'", where, fmt::join(kMethods, ", "),
               out.method);
  }
  const json overrides = table.value("overrides", json());
  out.overrides = read_overrides(overrides, where);
  for (const std::string& key : unused_settings(out.method, out.optimizer)) {
    if (!overrides.contains("finetune." + key)) continue;
    user_error("{}: the method {} does not use finetune.{}; leave it out", where, out.method, key);
  }
  out.background = background;
  if (overrides.contains("finetune.background")) {
    const json& named = overrides["finetune.background"];
    if (!named.is_string()) user_error("{}: finetune.background must be a text", where);
    out.background = named.get<std::string>();
  }
  const json settings = table.value("settings", json());
  if (!settings.is_array() || settings.empty()) {
    user_error("{}: 'settings' must be a list with at least one table", where);
  }
  for (const json& each : settings) {
    out.settings.push_back(read_setting(each, out.method, where));
    if (std::count(out.settings.begin(), out.settings.end(), out.settings.back()) > 1) {
      user_error("{}: the setting {} stands twice", where, long_label(out.settings.back()));
    }
  }
  return out;
}

ParetoBackground read_background(const json& table) {
  if (!table.is_object() || !table.contains("name") || !table["name"].is_string()) {
    user_error("pareto.backgrounds: every background is a table with a name");
  }
  ParetoBackground out;
  out.name = table["name"].get<std::string>();
  const std::string where = "pareto.backgrounds, " + out.name;
  refuse_unknown(table, {"name", "parts", "facts", "questions", "settings"}, where);
  if (out.name.empty()) user_error("{}: the name is empty", where);
  out.arguments = {"--name", out.name};
  const auto wrong = [&](const char* key, const char* kind) {
    user_error("{}: '{}' must be {}, got {}", where, key, kind, table.at(key).dump());
  };
  if (const json parts = table.value("parts", json()); !parts.is_null()) {
    if (!parts.is_array() || parts.empty()) wrong("parts", "a list of names");
    for (const json& part : parts) {
      if (!part.is_string()) wrong("parts", "a list of names");
      out.arguments.insert(out.arguments.end(), {"--parts", part.get<std::string>()});
    }
  }
  if (const json facts = table.value("facts", json(false)); !facts.is_boolean()) {
    wrong("facts", "true or false");
  } else if (facts.get<bool>()) {
    out.arguments.emplace_back("--facts");
  }
  if (const json questions = table.value("questions", json()); !questions.is_null()) {
    if (!questions.is_string()) wrong("questions", "the name of a set");
    out.arguments.insert(out.arguments.end(), {"--questions", questions.get<std::string>()});
  }
  const json settings = table.value("settings", json::object());
  if (!settings.is_object()) wrong("settings", "a table like {batch = 1}");
  for (const std::string& assignment : assignments(settings, "background.")) {
    out.arguments.insert(out.arguments.end(), {"--set", assignment});
  }
  return out;
}

void read_backgrounds(const Options& options, ParetoPlan& plan) {
  const json& listed = options.tree("pareto.backgrounds");
  if (!listed.is_null() && !listed.is_array()) {
    user_error("[[pareto.backgrounds]] must be a list of tables, got {}", listed.dump());
  }
  std::set<std::string> names = {""};
  for (const json& each : listed) {
    ParetoBackground background = read_background(each);
    if (!names.insert(background.name).second) {
      user_error("pareto.backgrounds: the name '{}' stands twice", background.name);
    }
    const auto number = [&](const char* key) {
      const json value = each.value("settings", json::object()).value(key, json());
      return value.is_number() ? value.get<double>()
                               : options.number(std::string("background.") + key, 1);
    };
    background.passes = number("batches") * number("batch");
    plan.backgrounds.push_back(std::move(background));
  }
  for (const ParetoMethod& method : plan.methods) {
    if (names.contains(method.background)) continue;
    user_error("pareto.methods, {}: there is no background '{}' in [[pareto.backgrounds]]",
               method.name, method.background);
  }
}

}  // namespace

std::string series_name(const ParetoMethod& method) {
  return method.group.empty() ? method.name : method.group;
}

std::vector<std::size_t> series_of_methods(const ParetoPlan& plan) {
  std::vector<std::string> names;
  std::vector<std::size_t> out;
  for (const ParetoMethod& method : plan.methods) {
    const std::string name = series_name(method);
    const auto found = std::find(names.begin(), names.end(), name);
    out.push_back(static_cast<std::size_t>(found - names.begin()));
    if (found == names.end()) names.push_back(name);
  }
  return out;
}

std::string short_label(const ParetoSetting& setting) {
  std::string label;
  if (setting.rows > 0) label += fmt::format("t{}-", setting.rows);
  if (setting.rank > 0) label += fmt::format("r{}-", setting.rank);
  return label + "lr" + rate_text(setting.learning_rate);
}

std::string long_label(const ParetoSetting& setting) {
  std::string label;
  if (setting.rows > 0) label += fmt::format("t {}, ", setting.rows);
  if (setting.rank > 0) label += fmt::format("rank {}, ", setting.rank);
  return label + "rate " + rate_text(setting.learning_rate);
}

ParetoPlan read_pareto_plan(const Options& options, const std::vector<std::int64_t>& seeds) {
  ParetoPlan plan;
  plan.name = options.text("name");
  plan.target = options.text("evaluate.target");
  plan.heldout = options.text("evaluate.heldout");
  plan.measure = read_answer_measure(options);
  plan.matched_target = options.number("pareto.matched_target");
  if (!(plan.matched_target > 0 && plan.matched_target <= 1)) {
    user_error("pareto.matched_target must be in (0, 1], got {}", plan.matched_target);
  }
  if (options.count("evaluate.limit", 0, 0) == 1) {
    user_error(
        "evaluate.limit must be 0 or at least 2 for a sweep, got 1: one half of the questions "
        "chooses settings, the other reports them");
  }
  const json& listed = options.tree("pareto.seeds");
  plan.seeds = seeds;
  if (plan.seeds.empty() && listed.is_array()) {
    for (const json& seed : listed) {
      if (!seed.is_number_integer())
        user_error("pareto.seeds: expected integers, got {}", seed.dump());
      plan.seeds.push_back(seed.get<std::int64_t>());
    }
  }
  if (plan.seeds.empty())
    user_error("pareto.seeds must be a list of integers; or give --seeds 0,1");
  const std::set<std::int64_t> different(plan.seeds.begin(), plan.seeds.end());
  if (different.size() != plan.seeds.size() || *different.begin() < 0) {
    user_error("the seeds must differ and be at least 0, got {}", fmt::join(plan.seeds, ", "));
  }
  const json& methods = options.tree("pareto.methods");
  if (!methods.is_array() || methods.empty()) {
    user_error("[[pareto.methods]] is missing: the sweep has no method to run");
  }
  std::set<std::string> names;
  for (const json& each : methods) {
    plan.methods.push_back(read_method(each, options.text("finetune.background", "")));
    if (!names.insert(plan.methods.back().name).second) {
      user_error("pareto.methods: the name '{}' stands twice", plan.methods.back().name);
    }
  }
  for (const ParetoMethod& method : plan.methods) {
    const ParetoMethod& first = plan.methods.front();
    if (method.settings.size() == first.settings.size()) continue;
    user_error(
        "pareto.methods: every method must have the same number of settings, or the one with more "
        "has more chances; {} has {} and {} has {}",
        first.name, first.settings.size(), method.name, method.settings.size());
  }
  read_backgrounds(options, plan);
  options.refuse_unread("pareto");
  return plan;
}

}  // namespace slotwise
