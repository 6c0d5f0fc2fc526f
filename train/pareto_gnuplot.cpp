#include "train/pareto_gnuplot.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <regex>
#include <sstream>

#include "core/error.h"
#include "train/pareto_sweep.h"
#include "train/process_pool.h"

namespace slotwise {
namespace {

// Okabe and Ito's colours, without the yellow that white paper swallows.
constexpr std::array kColours = {"#D55E00", "#E69F00", "#CC79A7", "#56B4E9",
                                 "#0072B2", "#009E73", "#000000", "#8C6D31"};
constexpr std::array kMarkers = {7, 5, 9, 11, 13, 15, 7, 5};

bool in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::stringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (access((std::filesystem::path(folder) / program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

}  // namespace

std::string series_colour(std::size_t series) {
  return kColours[series % kColours.size()];
}

int series_marker(std::size_t series) {
  return kMarkers[series % kMarkers.size()];
}

std::string gnuplot_data(const std::string& name, const std::string& rows) {
  return "$" + name + " << EOD\n" + rows + "EOD\n";
}

std::string gnuplot_figure(const std::string& name, const std::string& commands) {
  return fmt::format(R"(
reset
do for [kind in "png svg"] {{
  if (kind eq "png") {{
    set terminal pngcairo size 1200,800 font "sans,15" background "white" linewidth 1.5 pointscale 1.35
    size_unit = 1.0
  }} else {{
    set terminal svg size 1200,800 dynamic font "sans-serif,19" background "white" linewidth 1.5
    size_unit = 0.7
  }}
  set output "{}.".kind
  set border 3 linecolor rgb "#606060"
  set tics nomirror out textcolor rgb "#303030"
  set grid linecolor rgb "#e4e4e4" linetype 1 linewidth 0.7
  set key outside right top Left reverse noenhanced samplen 1.5 spacing 1.25
{}  unset output
}}
)",
                     name, commands);
}

std::string gnuplot_title(const std::string& title, const std::string& below) {
  return fmt::format("  set title \"{}\\n{{/*0.8 {}}}\"\n", title, below);
}

std::string gnuplot_escaped(const std::string& name) {
  std::string out;
  for (char c : name) out += c == '_' ? std::string("\\\\_") : std::string(1, c);
  return out;
}

std::string AxisRange::text() const {
  return fmt::format("[{:.6g}:{:.6g}]", low, high);
}

AxisRange axis_range(const std::vector<double>& values, double step) {
  SLOTWISE_CHECK(!values.empty(), "[plot] an axis needs values");
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  // A value just past a round number does not cost a whole step of empty picture.
  AxisRange range{step * std::floor(*low / step + 0.2), step * std::ceil(*high / step - 0.2)};
  if (range.high - range.low < step) range.high = range.low + step;
  const double air = 0.02 * (range.high - range.low);
  return {std::min(range.low, *low) - air, std::max(range.high, *high) + air};
}

std::string titled_svg(const std::string& svg, const std::string& title) {
  const std::regex parts("<title>gnuplot_plot_[0-9a-z]*</title>"), whole("<title>Gnuplot</title>");
  return std::regex_replace(std::regex_replace(svg, parts, ""), whole,
                            "<title>" + title + "</title>");
}

bool run_gnuplot(const std::filesystem::path& folder, const std::string& script) {
  if (!in_path("gnuplot")) return false;
  const std::vector<PoolJob> jobs = {{.name = "gnuplot",
                                      .kind = "gnuplot",
                                      .command = {"gnuplot", script},
                                      .log = folder / "gnuplot.txt",
                                      .folder = folder}};
  const PoolOutcome outcome = run_pool(jobs, {});
  if (outcome.failure) fail("{}", failure_text(jobs[0], outcome.failure->reason));
  if (outcome.interrupted) fail("stopped while the pictures were drawn");
  std::error_code ignored;
  std::filesystem::remove(jobs[0].log, ignored);
  return true;
}

}  // namespace slotwise
