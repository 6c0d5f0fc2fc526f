// The report of a sweep: one HTML file with its pictures inside, readable without a network, in
// light and dark.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "train/pareto_analysis.h"
#include "train/pareto_plan.h"

namespace slotwise {

struct ReportFacts {
  std::string command;                                 // as it was typed
  std::string settings;                                // JSON
  nlohmann::json versions = nlohmann::json::object();  // of the programs that computed the results
  std::map<std::string, std::string> figures;          // SVG text by name; empty without gnuplot
};

std::string html_report(const ParetoPlan& plan, const SweepResults& results,
                        const ParetoAnalysis& analysis, const ReportFacts& facts);

std::string html_escaped(const std::string& text);
// An SVG document as an element of a page: without its prologue, and with `prefix` before its ids,
// which must differ between the pictures of a page.
std::string inline_svg(const std::string& svg, const std::string& prefix);

}  // namespace slotwise
