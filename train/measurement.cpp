#include "train/measurement.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace slotwise {

namespace {

// KL of a sparse finetuning is small: "0.0000" would say that nothing moved.
std::string number_text(double value) {
  if (std::isnan(value)) return "-";
  return value != 0 && std::abs(value) < 1e-3 ? fmt::format("{:.2e}", value)
                                              : fmt::format("{:.4f}", value);
}

}  // namespace

std::string measured_text(const std::vector<Measured>& sets) {
  std::size_t set_width = 3, name_width = 7;
  for (const Measured& set : sets) {
    for (const Measurement& each : set.rows) {
      set_width = std::max(set_width, each.set.size());
      name_width = std::max(name_width, each.name.size());
    }
  }
  std::string out = fmt::format("{:<{}}  {:<{}}  {:>8}  {:<19}  over\n", "set", set_width,
                                "measure", name_width, "value", "95 % interval");
  std::string notes;
  for (const Measured& set : sets) {
    for (const Measurement& each : set.rows) {
      const bool first = &each == set.rows.data();
      const std::string interval =
          each.interval ? number_text(each.interval->low) + " - " + number_text(each.interval->high)
                        : "";
      out += fmt::format("{:<{}}  {:<{}}  {:>8}  {:<19}  {} {}\n", first ? each.set : "", set_width,
                         each.name, name_width, number_text(each.value), interval, each.count,
                         each.counted);
      if (first && !set.note.empty()) notes += fmt::format("{}: {}\n", each.set, set.note);
    }
  }
  return out + notes;
}

nlohmann::json measured_json(const std::vector<Measured>& sets) {
  nlohmann::json out = nlohmann::json::array();
  for (const Measured& set : sets) {
    for (const Measurement& each : set.rows) {
      nlohmann::json row = {{"set", each.set},     {"measure", each.key},     {"name", each.name},
                            {"value", each.value}, {"low", nullptr},          {"high", nullptr},
                            {"count", each.count}, {"counted", each.counted}, {"note", set.note}};
      if (each.interval) {
        row["low"] = each.interval->low;
        row["high"] = each.interval->high;
      }
      out.push_back(row);
    }
  }
  return out;
}

}  // namespace slotwise
