// Pieces of a gnuplot script: data inside the script, a figure in its two file formats, one look.
#pragma once

#include <fmt/core.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace slotwise {

// Tells eight series apart, in the eyes of the colour-blind too; later ones start again.
std::string series_colour(std::size_t series);  // "#D55E00"
int series_marker(std::size_t series);          // a filled one; the number below is it hollow

// "$name << EOD ... EOD"
std::string gnuplot_data(const std::string& name, const std::string& rows);

// The parts of a plot command, one a line.
class PlotLayers {
 public:
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    if (!text_.empty()) text_ += ", \\\n    ";
    text_ += fmt::format(format, std::forward<Args>(args)...);
  }
  std::string command() const { return "  plot " + text_ + "\n"; }

 private:
  std::string text_;
};

// Commands of a figure in the loop over name.png and name.svg. Marker sizes are given in the
// script's size_unit: the two formats draw the same number differently.
std::string gnuplot_figure(const std::string& name, const std::string& commands);

std::string gnuplot_title(const std::string& title, const std::string& below);
// Of a name inside a text with markup, where a bare '_' would lower what follows.
std::string gnuplot_escaped(const std::string& name);

// Round numbers around the values, and a little air so that no marker is cut: "[-1.2:101.2]".
struct AxisRange {
  double low = 0, high = 1;
  std::string text() const;
};
AxisRange axis_range(const std::vector<double>& values, double step);

// An SVG of gnuplot with a title of its own, and without the names that gnuplot gives the parts of
// a plot: a page shows both where the pointer rests.
std::string titled_svg(const std::string& svg, const std::string& title);

// Runs `gnuplot script` in the folder. False where there is no gnuplot; Error with its words when
// it fails.
bool run_gnuplot(const std::filesystem::path& folder, const std::string& script);

}  // namespace slotwise
