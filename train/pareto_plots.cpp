#include "train/pareto_plots.h"

#include <algorithm>
#include <cmath>

#include "train/pareto_gnuplot.h"
#include "train/pareto_summary.h"
#include "train/pareto_words.h"

namespace slotwise {
namespace {

constexpr auto kReport = Half::reporting;
constexpr double kPercent = 100;

// More than these do not stand side by side: they are listed one below the other.
constexpr std::size_t kMostAbreast = 8;

// % of before; not a number where nothing was known before.
double retained(const Trajectory& run, std::size_t checkpoint) {
  const auto drop = relative_drop(run, checkpoint, kReport);
  return drop ? kPercent * (1 - *drop) : std::nan("");
}

std::string quantity(double count) {
  if (count >= 1e6) return fmt::format("{:.1f} M", count / 1e6);
  if (count >= 1e3) return fmt::format("{:.0f} k", count / 1e3);
  return fmt::format("{:.0f}", count);
}

// Markers grow with the logarithm of the parameters that a batch changes.
class MarkerSizes {
 public:
  explicit MarkerSizes(const std::vector<FinetuneRun>& runs) {
    for (const FinetuneRun& run : runs) {
      least_ = std::min(least_, logarithm(run));
      most_ = std::max(most_, logarithm(run));
    }
  }
  double of(const FinetuneRun& run) const {
    return 1.3 + 1.5 * (logarithm(run) - least_) / std::max(1e-9, most_ - least_);
  }
  std::string text() const {
    return quantity(std::pow(10, least_)) + " to " + quantity(std::pow(10, most_));
  }

 private:
  static double logarithm(const FinetuneRun& run) {
    return std::log10(std::max(1.0, static_cast<double>(run.trainable_per_batch)));
  }
  double least_ = 1e9, most_ = 0;
};

class Script {
 public:
  Script(const ParetoPlan& plan, const SweepResults& results, const ParetoAnalysis& analysis)
      : plan_(plan), results_(results), analysis_(analysis), series_(series_of_methods(plan)) {}

  std::string text() {
    for (std::size_t m = 0; m < plan_.methods.size(); ++m) curve_data(m);
    const std::string figures = pareto() + matched() + curves() + text_loss();
    return "# Draws the pictures of this folder: gnuplot pareto.gp\n" + data_ + figures;
  }

 private:
  std::string style(std::size_t m) const {
    return fmt::format("lc rgb \"{}\"", series_colour(series_[m]));
  }
  int marker(std::size_t m) const { return series_marker(series_[m]); }
  // A series stands in the legend once.
  std::string legend(std::size_t m) const {
    const bool first = std::find(series_.begin(), series_.end(), series_[m]) ==
                       series_.begin() + static_cast<std::ptrdiff_t>(m);
    return first ? fmt::format("title \"{}\"", series_name(plan_.methods[m])) : "notitle";
  }

  void add_data(const std::string& name, const std::string& rows) {
    data_ += gnuplot_data(name, rows);
  }

  const Trajectory& chosen_run(std::size_t method, std::size_t seed) const {
    return results_.run(method, analysis_.methods[method].setting, seed).checkpoints;
  }

  // Every value of a quantity over the runs with the chosen settings, for the range of an axis.
  template <class Quantity>
  std::vector<double> all_values(Quantity&& quantity_of, double also) const {
    std::vector<double> values = {also};
    for (std::size_t m = 0; m < plan_.methods.size(); ++m) {
      for (std::size_t s = 0; s < plan_.seeds.size(); ++s) {
        const Trajectory& run = chosen_run(m, s);
        for (std::size_t i = 0; i < run.size(); ++i) {
          if (const double value = quantity_of(run, i); !std::isnan(value)) values.push_back(value);
        }
      }
    }
    return values;
  }

  std::string pareto() {
    const MarkerSizes sizes(results_.finetune);
    std::vector<std::string> other(plan_.methods.size()), chosen(plan_.methods.size());
    std::vector<double> targets = {kPercent}, kept = {kPercent};
    std::vector<Point> points;
    for (const FinetuneRun& run : results_.finetune) {
      const double x = kPercent * run.checkpoints.back().target.of(kReport);
      const double y = retained(run.checkpoints, run.checkpoints.size() - 1);
      if (std::isnan(y)) continue;
      points.emplace_back(x, y);
      targets.push_back(x);
      kept.push_back(y);
      const bool is_chosen = analysis_.methods[run.method].setting == run.setting;
      (is_chosen ? chosen : other)[run.method] +=
          fmt::format("{:.3f} {:.3f} {:.2f}\n", x, y, sizes.of(run));
    }
    const AxisRange x = axis_range(targets, 10), y = axis_range(kept, 10);
    PlotLayers layers;
    layers.add("NaN notitle");
    add_frontier(layers, pareto_frontier(points), x.low, y.low);
    for (std::size_t m = 0; m < plan_.methods.size(); ++m) {
      add_points(layers, m, fmt::format("end_other_{}", m), other[m], marker(m) - 1);
    }
    for (std::size_t m = 0; m < plan_.methods.size(); ++m) {
      add_points(layers, m, fmt::format("end_chosen_{}", m), chosen[m], marker(m));
      layers.add("NaN with points pt {} ps 1.8*size_unit {} {}", marker(m), style(m), legend(m));
    }
    return gnuplot_figure(
        "pareto", gnuplot_title("Learning against forgetting at the end of every run",
                                "Filled: the setting chosen for the method; hollow: the other "
                                "settings. Size: parameters changed by a batch, " +
                                    sizes.text()) +
                      fmt::format("  set xlabel \"{}\"\n  set ylabel \"{}\"\n", words_.new_axis,
                                  words_.kept_axis) +
                      "  set xrange " + x.text() + "\n  set yrange " + y.text() + "\n" +
                      layers.command());
  }

  // A staircase: what is left and below of it, some run does better.
  void add_frontier(PlotLayers& layers, const std::vector<Point>& frontier, double left,
                    double bottom) {
    if (frontier.empty()) return;
    std::string rows = fmt::format("{:.3f} {:.3f}\n", left, frontier.front().second);
    for (const auto& [x, y] : frontier) rows += fmt::format("{:.3f} {:.3f}\n", x, y);
    rows += fmt::format("{:.3f} {:.3f}\n", frontier.back().first, bottom);
    add_data("frontier", rows);
    layers.add("$frontier with fsteps lc rgb \"#909090\" lw 1.5 title \"frontier\"");
  }

  void add_points(PlotLayers& layers, std::size_t method, const std::string& name,
                  const std::string& rows, int shape) {
    if (rows.empty()) return;
    add_data(name, rows);
    layers.add("${} using 1:2:(size_unit*$3) with points pt {} ps variable {} notitle", name, shape,
               style(method));
  }

  std::string matched_title() const {
    return gnuplot_title(
        "Old knowledge lost when " + matched_text(plan_.measure, plan_.matched_target),
        plan_.seeds.size() == 1 ? "One seed, where its curve passes that. Lower is better"
                                : "A point a seed, where its curve passes that; line: their mean. "
                                  "Lower is better");
  }

  std::string matched() {
    if (plan_.methods.size() > kMostAbreast) return matched_list();
    PlotLayers layers;
    layers.add("0 with lines lc rgb \"#909090\" lw 1 notitle");
    add_means(layers);
    std::string labels, ticks;
    std::vector<double> drops = {0};
    for (std::size_t m = 0; m < plan_.methods.size(); ++m) {
      const MethodSummary& summary = analysis_.methods[m];
      ticks +=
          fmt::format("{}\"{}\\n{{/*0.8 {} seeds}}\" {}", m == 0 ? "" : ", ",
                      gnuplot_escaped(plan_.methods[m].name), reached_text(summary.reached), m);
      for (const auto& drop : summary.drop_at_matched.per_seed) {
        if (drop) drops.push_back(kPercent * *drop);
      }
      const std::string rows = matched_rows(m);
      if (rows.empty()) {
        labels += fmt::format(
            "  set label {} \"not\\nreached\" at {}, graph 0.12 center tc rgb \"#606060\"\n", m + 1,
            m);
        continue;
      }
      add_data(fmt::format("matched_{}", m), rows);
      layers.add("$matched_{} with points pt {} ps 1.8*size_unit {} notitle", m, marker(m),
                 style(m));
    }
    return gnuplot_figure(
        "matched",
        matched_title() +
            fmt::format("  set ylabel \"{}\"\n"
                        "  set bmargin 4.5\n  unset key\n  set grid noxtics\n"
                        "  set xtics ({})\n  set xrange [-0.6:{}]\n  set yrange {}\n{}",
                        words_.lost_axis, ticks, static_cast<double>(plan_.methods.size()) - 0.25,
                        axis_range(drops, 10).text(), labels) +
            layers.command());
  }

  // A line a method, the first at the top: points of the seeds, a bar at their mean.
  std::string matched_list() {
    PlotLayers layers;
    std::string ticks, means;
    std::vector<double> drops = {0};
    for (std::size_t m = 0; m < plan_.methods.size(); ++m) {
      const MethodSummary& summary = analysis_.methods[m];
      ticks +=
          fmt::format("{}\"{} {{/*0.8 {}}}\" {}", m == 0 ? "" : ", ",
                      gnuplot_escaped(plan_.methods[m].name), reached_text(summary.reached), m);
      std::string rows;
      for (const auto& drop : summary.drop_at_matched.per_seed) {
        if (!drop) continue;
        drops.push_back(kPercent * *drop);
        rows += fmt::format("{:.3f} {}\n", kPercent * *drop, m);
      }
      layers.add("NaN with points pt {} ps 1.5*size_unit {} {}", marker(m), style(m), legend(m));
      if (rows.empty()) continue;
      add_data(fmt::format("matched_{}", m), rows);
      layers.add("$matched_{} with points pt {} ps 1.5*size_unit {} notitle", m, marker(m),
                 style(m));
      means += fmt::format("{:.3f} {}\n", kPercent * *summary.drop_at_matched.mean, m);
    }
    if (!means.empty() && plan_.seeds.size() > 1) {
      add_data("matched_mean", means);
      layers.add(
          "$matched_mean using 1:($2-0.35):(0):(0.7) with vectors nohead lw 2 "
          "lc rgb \"#303030\" notitle");
    }
    return gnuplot_figure(
        "matched",
        matched_title() +
            fmt::format("  set xlabel \"{} (beside the name: seeds that got there)\"\n"
                        "  set ytics ({})\n  set yrange [{}:-0.7]\n  set xrange {}\n",
                        words_.lost_axis, ticks, static_cast<double>(plan_.methods.size()) - 0.3,
                        axis_range(drops, 10).text()) +
            layers.command());
  }

  void add_means(PlotLayers& layers) {
    std::string rows;
    for (std::size_t m = 0; m < plan_.methods.size(); ++m) {
      const auto& mean = analysis_.methods[m].drop_at_matched.mean;
      if (mean) rows += fmt::format("{0} {1:.3f} \"{1:.1f} %\"\n", m, kPercent * *mean);
    }
    if (rows.empty()) return;
    add_data("matched_mean", rows);
    if (plan_.seeds.size() > 1) {
      layers.add(
          "$matched_mean using ($1-0.26):2:(0.52):(0) with vectors nohead lw 2 lc rgb \"#303030\" "
          "notitle");
    }
    layers.add("$matched_mean using ($1+0.3):2:3 with labels left tc rgb \"#303030\" notitle");
  }

  // A point for each seed that reached the target, the seeds side by side.
  std::string matched_rows(std::size_t m) const {
    const auto& per_seed = analysis_.methods[m].drop_at_matched.per_seed;
    const double seeds = static_cast<double>(per_seed.size());
    std::string rows;
    for (std::size_t s = 0; s < per_seed.size(); ++s) {
      const double offset = 0.3 * ((static_cast<double>(s) + 0.5) / seeds - 0.5);
      if (per_seed[s]) {
        rows += fmt::format("{:.3f} {:.3f}\n", static_cast<double>(m) + offset,
                            kPercent * *per_seed[s]);
      }
    }
    return rows;
  }

  // Columns: step, target %, kept %, rise of the text loss. A block a seed and one of their mean.
  void curve_data(std::size_t m) {
    using Row = std::array<double, 4>;
    const auto row_of = [](const Trajectory& run, std::size_t i) {
      return Row{static_cast<double>(run[i].step), kPercent * run[i].target.of(kReport),
                 retained(run, i), text_rise(run, i)};
    };
    std::size_t length = chosen_run(m, 0).size();
    for (std::size_t s = 0; s < plan_.seeds.size(); ++s) {
      length = std::min(length, chosen_run(m, s).size());
    }
    std::vector<Row> mean(length, Row{});
    const auto text = [](const std::vector<Row>& rows) {
      std::string out;
      for (const Row& r : rows) {
        out += fmt::format("{:g} {:.3f} {:.3f} {:.5f}\n", r[0], r[1], r[2], r[3]);
      }
      return out;
    };
    for (std::size_t s = 0; s < plan_.seeds.size(); ++s) {
      std::vector<Row> rows;
      for (std::size_t i = 0; i < chosen_run(m, s).size(); ++i) {
        rows.push_back(row_of(chosen_run(m, s), i));
        for (std::size_t c = 0; c < rows[i].size() && i < length; ++c) {
          mean[i][c] += rows[i][c] / static_cast<double>(plan_.seeds.size());
        }
      }
      add_data(fmt::format("curve_{}_{}", m, s), text(rows));
    }
    add_data(fmt::format("curve_{}", m), text(mean));
  }

  // What is true of several seeds only.
  std::string over_seeds() const {
    if (plan_.seeds.size() == 1) return "";
    return plan_.methods.size() > kMostAbreast ? ", mean over seeds"
                                               : ", mean over seeds; thin lines each seed";
  }

  // Thin lines of the seeds below thick ones of the means. `columns`: gnuplot's, "1:2".
  void add_curves(PlotLayers& layers, const char* columns, bool markers) const {
    const bool thin = plan_.seeds.size() > 1 && plan_.methods.size() <= kMostAbreast;
    for (std::size_t m = 0; m < plan_.methods.size() && thin; ++m) {
      for (std::size_t s = 0; s < plan_.seeds.size(); ++s) {
        layers.add("$curve_{}_{} using {} with lines lw 0.8 lc rgb \"#80{}\" notitle", m, s,
                   columns, series_colour(series_[m]).substr(1));
      }
    }
    for (std::size_t m = 0; m < plan_.methods.size(); ++m) {
      const std::string how =
          markers ? fmt::format("linespoints pt {} ps 1.1*size_unit", marker(m)) : "lines";
      layers.add("$curve_{} using {} with {} lw 2.2 {} {}", m, columns, how, style(m), legend(m));
    }
  }

  std::string curves() const {
    const auto step = [](const Trajectory& run, std::size_t i) {
      return static_cast<double>(run[i].step);
    };
    const std::vector<double> steps = all_values(step, 1);
    PlotLayers target, heldout;
    target.add("{} with lines dt 3 lc rgb \"#606060\" title \"target\"",
               kPercent * plan_.matched_target);
    add_curves(target, "1:2", false);
    heldout.add("100 with lines dt 3 lc rgb \"#606060\" notitle");
    add_curves(heldout, "1:3", false);
    return gnuplot_figure(
        "curves",
        fmt::format("  set multiplot layout 2,1 title \"Finetuning with the chosen settings{}\"\n"
                    "  set lmargin at screen 0.09\n  set rmargin at screen 0.83\n"
                    "  set xrange [0:{:g}]\n  set yrange [-2:102]\n"
                    "  set tmargin at screen 0.91\n  set bmargin at screen 0.53\n"
                    "  set format x \"\"\n  set ylabel \"{}\"\n{}"
                    "  set tmargin at screen 0.49\n  set bmargin at screen 0.11\n"
                    "  set format x \"%g\"\n  set xlabel \"Finetuning step\"\n"
                    "  set ylabel \"{}\"\n"
                    "  set yrange {}\n  unset key\n{}  unset multiplot\n",
                    over_seeds(), *std::max_element(steps.begin(), steps.end()), words_.new_axis,
                    target.command(), words_.kept_axis,
                    axis_range(all_values(retained, kPercent), 10).text(), heldout.command()));
  }

  std::string text_loss() const {
    const std::vector<double> rises = all_values(text_rise, 0);
    const double most = *std::max_element(rises.begin(), rises.end());
    const double step = most > 1 ? 0.5 : most > 0.2 ? 0.1 : 0.02;
    PlotLayers layers;
    layers.add("0 with lines lc rgb \"#909090\" lw 1 notitle");
    add_curves(layers, "2:4", true);
    return gnuplot_figure(
        "text", gnuplot_title("Learning against damage to general text",
                              "A marker an evaluated step, chosen settings" + over_seeds() +
                                  ". Lower is better") +
                    fmt::format("  set xlabel \"{}\"\n", words_.new_axis) +
                    "  set ylabel \"Rise of the loss on held-out text, nats a token\"\n"
                    "  set xrange [-2:102]\n  set yrange " +
                    axis_range(rises, step).text() + "\n" + layers.command());
  }

  const ParetoPlan& plan_;
  const SweepResults& results_;
  const ParetoAnalysis& analysis_;
  const MeasureWords& words_ = words_of(plan_.measure);
  const std::vector<std::size_t> series_;
  std::string data_;
};

}  // namespace

std::string pareto_script(const ParetoPlan& plan, const SweepResults& results,
                          const ParetoAnalysis& analysis) {
  return Script(plan, results, analysis).text();
}

}  // namespace slotwise
