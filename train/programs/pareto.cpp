// slotwise-pareto: runs a sweep of methods, settings and seeds as one-thread programs side by side,
// and draws what each method learned against what it forgot.
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/error.h"
#include "core/files.h"
#include "train/options.h"
#include "train/pareto_analysis.h"
#include "train/pareto_backgrounds.h"
#include "train/pareto_base.h"
#include "train/pareto_gnuplot.h"
#include "train/pareto_methods.h"
#include "train/pareto_plan.h"
#include "train/pareto_plots.h"
#include "train/pareto_report.h"
#include "train/pareto_summary.h"
#include "train/pareto_sweep.h"
#include "train/process_pool.h"
#include "train/program.h"
#include "train/progress.h"

namespace slotwise {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kInterrupted = 130;

struct Arguments {
  SettingsArguments settings;
  std::string out;
  int jobs = 0;
  std::vector<std::int64_t> seeds;
  DeviceArgument device;
  std::string precision = "fp32";
  std::string pretrained;  // the folder of another sweep, or ""
  bool report_only = false, fresh = false, keep_checkpoints = false;
  std::string command;  // as typed
};

std::string quoted(const std::string& word) {
  const char* plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./,:+@%";
  if (!word.empty() && word.find_first_not_of(plain) == word.npos) return word;
  std::string out = "'";
  for (char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// On a terminal one line that is written over; elsewhere a line for each run that finishes.
class ProgressLine {
 public:
  void operator()(const PoolProgress& progress) {
    const std::string left =
        progress.seconds_left ? ", about " + duration_text(*progress.seconds_left) + " left" : "";
    const std::string head = fmt::format("{}/{} runs", progress.done, progress.total);
    if (!terminal_) {
      if (progress.finished.empty()) return;
      fmt::print("{}, {} in {}, {} so far{}\n", head, progress.finished,
                 duration_text(progress.finished_seconds), duration_text(progress.elapsed_seconds),
                 left);
    } else {
      std::string line =
          fmt::format("{}, {}{}", head, duration_text(progress.elapsed_seconds), left);
      for (std::size_t i = 0; i < progress.running.size() && i < 2; ++i) {
        line += (i == 0 ? " | " : ", ") + progress.running[i];
      }
      if (progress.running.size() > 2) line += ", ...";
      fmt::print("\r\x1b[K{:.{}}", line, terminal_columns());
      shown_ = true;
    }
    std::fflush(stdout);
  }
  void end() const {
    if (shown_) fmt::print("\r\x1b[K");
    std::fflush(stdout);
  }

 private:
  const bool terminal_ = isatty(STDOUT_FILENO) == 1;
  bool shown_ = false;
};

// The datasets of the sweep: those that will be taken from another one, its own, or those to come.
std::vector<fs::path> data_folders(const ParetoPlan& plan, const Arguments& arguments,
                                   const fs::path& out) {
  std::vector<fs::path> folders;
  for (const std::int64_t seed : plan.seeds) {
    const fs::path own = arguments.fresh ? fs::path() : data_folder(out, seed);
    const bool take =
        !arguments.pretrained.empty() && (own.empty() || !fs::exists(own / "dataset.json"));
    folders.push_back(take ? data_folder(arguments.pretrained, seed) : own);
  }
  return folders;
}

// 0, or the exit status with which the program ends.
int run_sweep(const ParetoPlan& plan, const Options& options, const SweepSetup& setup,
              const Arguments& arguments) {
  if (!arguments.pretrained.empty()) {
    check_pretrained(arguments.pretrained, arguments.fresh ? fs::path() : setup.out, plan,
                     json::parse(options.json_text()));
  }
  const SweepFolder folder(setup.out, sweep_settings(options, plan, arguments.command, setup),
                           arguments.fresh);
  if (!arguments.pretrained.empty()) take_pretrained(arguments.pretrained, setup.out, plan);
  const std::vector<PoolJob> jobs = sweep_jobs(plan, options, setup);
  ProgressLine line;
  PoolOptions pool{.jobs = arguments.jobs, .environment = {{"OMP_NUM_THREADS", "1"}}};
  // One GPU holds one model well, not one for every core.
  if (pool.jobs == 0 && setup.device != "cpu") pool.jobs = 1;
  if (pool.jobs == 0)
    pool.jobs = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  pool.on_progress = std::ref(line);
  const auto finished =
      std::count_if(jobs.begin(), jobs.end(), [](auto& job) { return job.finished; });
  fmt::print("{}: {} runs, {} finished before, {} at a time, in {}\n", plan.name, jobs.size(),
             finished, pool.jobs, setup.out.string());
  std::fflush(stdout);
  const PoolOutcome outcome = run_pool(jobs, pool);
  line.end();
  if (outcome.failure) {
    fail("{}", failure_text(jobs[outcome.failure->job], outcome.failure->reason));
  }
  if (outcome.interrupted) {
    fmt::print(stderr, "slotwise-pareto: stopped; the same command goes on from here\n");
    return kInterrupted;
  }
  fmt::print("all runs finished, {} in this call\n", duration_text(outcome.seconds));
  return 0;
}

// `facts`: all but the pictures.
void write_report(const ParetoPlan& plan, const fs::path& out, ReportFacts facts) {
  const SweepResults results = read_sweep_results(plan, out);
  const ParetoAnalysis analysis = analyse(plan, results);
  write_file_atomically(out / "runs.csv", runs_csv(plan, results, analysis));
  write_file_atomically(out / "summary.json",
                        summary_json(plan, results, analysis, facts.versions).dump(2) + "\n");
  write_file_atomically(out / "pareto.gp", pareto_script(plan, results, analysis));
  const bool drawn = run_gnuplot(out, "pareto.gp");
  for (const ParetoFigure& figure : kParetoFigures) {
    if (!drawn) break;
    const fs::path path = out / figure.file(".svg");
    facts.figures[figure.name] = titled_svg(read_file(path), figure.title);
    write_file_atomically(path, facts.figures[figure.name]);
  }
  write_file_atomically(out / "report.html", html_report(plan, results, analysis, facts));

  const std::string memory_off =
      analysis.memory_off_drop.mean
          ? fmt::format("; memory off loses {} %", spread_text(analysis.memory_off_drop, 100, 1))
          : "";
  fmt::print(
      "\n{}\nscore: {}; target: '{}'; matched: where it passes {:.0f} %, on the line between two "
      "evaluations; drop: lost of '{}'{}\n\n",
      summary_table(plan, analysis), name_of(plan.measure), plan.target, 100 * plan.matched_target,
      plan.heldout, memory_off);
  if (const std::string warning = too_small_warning(results); !warning.empty()) {
    fmt::print("{}\n\n", warning);
  }
  if (!drawn) {
    fmt::print(
        "no pictures: gnuplot was not found; install it (apt-get install gnuplot-nox) and "
        "repeat the command with --report-only\n");
  }
  for (const ParetoFigure& figure : kParetoFigures) {
    if (drawn) fmt::print("{}\n", (out / figure.file(".png")).string());
  }
  fmt::print("{}\n", (out / "report.html").string());
}

int report_again(const Arguments& arguments, const fs::path& out) {
  const json stored = read_sweep_settings(out);
  if (stored.is_null()) user_error("{} holds no sweep to report", out.string());
  Options options = Options::from_json(stored.at("settings"));
  for (const std::string& each : arguments.settings.overrides) options.override_with(each);
  refuse_other_sweep(out, stored.at("settings"), json::parse(options.json_text()));
  const auto seeds = arguments.seeds.empty() ? stored.at("seeds").get<std::vector<std::int64_t>>()
                                             : arguments.seeds;
  const ParetoPlan plan = read_pareto_plan(options, seeds);
  write_report(plan, out,
               {.command = stored.at("command").get<std::string>(),
                .settings = options.json_text(),
                .versions = versions_of_results(out)});
  return 0;
}

int run(const Arguments& arguments) {
  const bool settings_from_folder = arguments.report_only && !arguments.out.empty();
  const Options options = arguments.settings.load(!settings_from_folder);
  fs::path out = arguments.out;
  if (out.empty()) out = fs::path("out") / "pareto" / options.text("name");
  if (arguments.report_only) return report_again(arguments, out);

  const SettingsArguments& given = arguments.settings;
  SweepSetup setup{.out = out,
                   .programs = fs::read_symlink("/proc/self/exe").parent_path(),
                   .keep_checkpoints = arguments.keep_checkpoints};
  const DType products = products_of(arguments.precision);
  setup.device =
      arguments.device.place(stdout, products).is_cpu() ? "cpu" : arguments.device.device;
  setup.precision = arguments.precision;
  setup.attention = arguments.device.attention;
  setup.settings_arguments = given.preset.empty()
                                 ? std::vector<std::string>{"--config", given.config}
                                 : std::vector<std::string>{"--preset", given.preset};
  for (const std::string& each : given.overrides) {
    setup.settings_arguments.insert(setup.settings_arguments.end(), {"--set", each});
  }
  const ParetoPlan plan = read_pareto_plan(options, arguments.seeds);
  check_methods(plan, options);
  check_backgrounds(options, data_folders(plan, arguments, out));
  const int status = run_sweep(plan, options, setup, arguments);
  if (status == 0) {
    write_report(plan, out,
                 {.command = arguments.command,
                  .settings = options.json_text(),
                  .versions = versions_of_results(out)});
  }
  return status;
}

}  // namespace
}  // namespace slotwise

int main(int argc, char** argv) {
  using namespace slotwise;
  CLI::App app{
      "Sweeps finetuning methods over their settings and seeds, as one-thread programs side by "
      "side, and reports\n"
      "what each learned against what it forgot: runs.csv, summary.json, pictures, report.html. "
      "Finished runs are\n"
      "kept: the same command goes on where it stopped."};
  Arguments arguments;
  arguments.settings.add_to(app, "[pareto] [evaluate], and those of the programs it runs");
  app.add_option("--out", arguments.out, "folder of the sweep (default: out/pareto/<name>)");
  app.add_option("--jobs", arguments.jobs,
                 "runs at a time (default: the number of cores, on a GPU 1)")
      ->check(CLI::Range(1, 4096).description(""));
  app.add_option("--seeds", arguments.seeds, "instead of those of the settings: 0,1,2")
      ->delimiter(',');
  arguments.device.add_to(app);
  add_precision(app, arguments.precision);
  auto* pretrained =
      app.add_option("--pretrained", arguments.pretrained,
                     "take datasets and pretrained models from the sweep in this folder, which has "
                     "the same settings of them")
          ->type_name("FOLDER");
  auto* report = app.add_flag("--report-only", arguments.report_only,
                              "no runs: analyse and draw the finished sweep in --out again")
                     ->excludes(pretrained);
  app.add_flag("--fresh", arguments.fresh, "delete the sweep in --out first")->excludes(report);
  app.add_flag("--keep-checkpoints", arguments.keep_checkpoints,
               "keep the finetuned models of the runs that this call makes, not only their "
               "measurements")
      ->excludes(report);
  add_examples(app,
               "  slotwise-pareto --preset smoke\n"
               "  slotwise-pareto --preset biographies --seeds 0,1,2 --out out/three-seeds\n"
               "  slotwise-pareto --preset biographies --set finetune.steps=800 --out out/longer\n"
               "  slotwise-pareto --preset ablations --pretrained out/reproduce --seeds 0,1\n"
               "  slotwise-pareto --report-only --out out/longer --set pareto.matched_target=0.8");
  arguments.command = "slotwise-pareto";
  for (int i = 1; i < argc; ++i) arguments.command += " " + quoted(argv[i]);
  return run_program("slotwise-pareto", app, argc, argv, [&] { return run(arguments); });
}
