#include "train/retention_plot.h"

#include <nlohmann/json.hpp>

#include "core/files.h"
#include "train/pareto_gnuplot.h"

namespace slotwise {
namespace {

using nlohmann::json;

// "12", or "never" for facts that no step taught.
std::string ticks_of_groups(const json& groups) {
  std::string out;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const std::string label = groups[g].at("taught").get<bool>()
                                  ? std::to_string(groups[g].at("last_step").get<std::int64_t>())
                                  : "never";
    out += fmt::format("{}\"{}\" {}", g == 0 ? "" : ", ", label, g);
  }
  return out;
}

}  // namespace

std::string retention_script(const json& retention) {
  const json &groups = retention.at("groups"), &rows = retention.at("rows");
  std::string data, ticks;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const json& scores = rows[i].at("scores");
    for (std::size_t g = 0; g < scores.size(); ++g) {
      if (!scores[g].is_null()) {
        data += fmt::format("{} {} {:.3f}\n", g, i, 100 * scores[g].get<double>());
      }
    }
    ticks +=
        fmt::format("{}\"{}\" {}", i == 0 ? "" : ", ", rows[i].at("step").get<std::int64_t>(), i);
  }
  const bool f1 = retention.at("measure") == "f1";
  return "# Draws the picture of this folder: gnuplot retention.gp\n" +
         gnuplot_data("retention", data) +
         gnuplot_figure(
             "retention",
             gnuplot_title(f1 ? "F1 on facts taught earlier in the stream, %"
                              : "Facts taught earlier in the stream that are answered, %",
                           "Below the diagonal: what is left of groups taught before; above: not "
                           "taught yet") +
                 fmt::format("  set xlabel \"Group of facts, by the last step that taught it\"\n"
                             "  set ylabel \"Asked after step\"\n  unset key\n  unset grid\n"
                             "  set xtics ({})\n  set ytics ({})\n"
                             "  set xrange [-0.5:{}.5]\n  set yrange [{}.5:-0.5]\n"
                             "  set cbrange [0:100]\n"
                             "  set palette defined (0 \"#ffffff\", 1 \"#0072b2\")\n"
                             "  plot $retention using 1:2:3 with image, \\\n"
                             "    $retention using 1:2:(sprintf(\"%.0f\", $3)):($3 > 55 ? 0xffffff "
                             ": 0x303030) with labels tc rgb variable\n",
                             ticks_of_groups(groups), ticks, groups.size() - 1, rows.size() - 1));
}

bool draw_retention(const json& retention, const std::filesystem::path& folder) {
  write_file_atomically(folder / "retention.gp", retention_script(retention));
  return run_gnuplot(folder, "retention.gp");
}

}  // namespace slotwise
