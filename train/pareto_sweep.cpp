#include "train/pareto_sweep.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "memory/background_usage.h"
#include "train/pareto_base.h"
#include "train/pareto_plots.h"
#include "train/pareto_versions.h"

namespace slotwise {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

fs::path seed_folder(const fs::path& out, std::int64_t seed) {
  return out / fmt::format("seed-{}", seed);
}

std::string run_name(const ParetoMethod& method, const ParetoSetting& setting) {
  return method.name + "-" + short_label(setting);
}

// Makes the jobs of one seed and appends them.
class SeedJobs {
 public:
  SeedJobs(const ParetoPlan& plan, const Options& options, const SweepSetup& setup,
           std::int64_t seed, std::vector<PoolJob>& jobs)
      : plan_(plan),
        questions_(fmt::format("evaluate.questions={}", json({plan.target, plan.heldout}).dump())),
        options_(options),
        setup_(setup),
        seed_(seed),
        jobs_(jobs) {}

  void add_base() {
    const fs::path data = dataset(), pretrain = pretrain_folder(setup_.out, seed_);
    const double steps = options_.number("pretrain.steps", 1),
                 batch = options_.number("pretrain.batch", 1);
    add("prepare", "prepare", {"--seed", seed_text(), "--out", data.string()},
        fs::exists(data / "prepare.json"), 0.01 * steps * batch);
    add("pretrain", "pretrain",
        {"--seed", seed_text(), "--data", data.string(), "--out", pretrain.string(), "--set",
         questions_, "--quiet"},
        run_finished(pretrain), steps * batch);
    pretrained_ = jobs_.size() - 1;
    // Only smf reads a background, and a model without memory has none.
    const bool ranked = std::any_of(plan_.methods.begin(), plan_.methods.end(),
                                    [](const ParetoMethod& each) { return each.method == "smf"; });
    if (!ranked) return;
    const double passes =
        options_.number("background.batches", 1) * options_.number("background.batch", 1);
    add_background({.name = "", .arguments = {}, .passes = passes});
    // One after the other: a checkpoint is written to by one program at a time.
    for (const ParetoBackground& each : plan_.backgrounds) add_background(each);
  }

  // After add_base().
  void add_finetuning(const ParetoMethod& method, const ParetoSetting& setting) {
    const fs::path folder = finetune_folder(setup_.out, seed_, method, setting);
    std::vector<std::string> arguments = {
        "--checkpoint", (pretrain_folder(setup_.out, seed_) / "checkpoint").string(),
        "--data",       dataset().string(),
        "--method",     method.method};
    const auto append = [&](const char* key, const std::string& value) {
      arguments.insert(arguments.end(), {key, value});
    };
    if (!method.optimizer.empty()) append("--optimizer", method.optimizer);
    if (setting.rows > 0) append("--rows", std::to_string(setting.rows));
    if (setting.rank > 0) append("--rank", std::to_string(setting.rank));
    append("--learning-rate", fmt::format("{}", setting.learning_rate));
    append("--seed", seed_text());
    append("--out", folder.string());
    append("--set", questions_);
    for (const std::string& each : method.overrides) append("--set", each);
    arguments.push_back("--quiet");
    // Models of all runs would fill the disk; their measurements are what a sweep is for.
    if (!setup_.keep_checkpoints) arguments.push_back("--no-checkpoint");
    const double steps = options_.number("finetune.steps", 1);
    const double batch =
        options_.number("finetune.facts", 1) * options_.number("finetune.wordings", 1);
    const auto background = background_.find(method.background);
    previous_ = background == background_.end() ? pretrained_ : background->second;
    add("finetune", run_name(method, setting), arguments, run_finished(folder), steps * batch);
    jobs_.back().kind = method.name;
  }

 private:
  void add_background(const ParetoBackground& background) {
    const fs::path checkpoint = pretrain_folder(setup_.out, seed_) / "checkpoint";
    std::vector<std::string> arguments = {
        "--checkpoint", checkpoint.string(), "--data", dataset().string(),
        "--seed",       seed_text(),         "--quiet"};
    arguments.insert(arguments.end(), background.arguments.begin(), background.arguments.end());
    add("background", background.name.empty() ? "background" : "background." + background.name,
        arguments, fs::exists(background_path(checkpoint, background.name)), background.passes / 3);
    background_[background.name] = jobs_.size() - 1;
  }

  std::string seed_text() const { return std::to_string(seed_); }
  fs::path dataset() const { return data_folder(setup_.out, seed_); }

  void add(const std::string& verb, const std::string& run,
           const std::vector<std::string>& arguments, bool finished, double cost) {
    PoolJob job{.name = fmt::format("seed-{}/{}", seed_, run), .kind = verb, .cost = cost};
    job.command = {(setup_.programs / ("slotwise-" + verb)).string()};
    job.command.insert(job.command.end(), setup_.settings_arguments.begin(),
                       setup_.settings_arguments.end());
    job.command.insert(job.command.end(), arguments.begin(), arguments.end());
    if (verb != "prepare") job.command.insert(job.command.end(), {"--device", setup_.device});
    if ((verb == "pretrain" || verb == "finetune") && setup_.precision != "fp32") {
      job.command.insert(job.command.end(), {"--precision", setup_.precision});
    }
    if (verb != "prepare" && setup_.attention != "auto") {
      job.command.insert(job.command.end(), {"--attention", setup_.attention});
    }
    job.log = seed_folder(setup_.out, seed_) / "logs" / (run + ".txt");
    if (previous_) job.after = {*previous_};
    // What a job was made from must be there too.
    job.finished = finished && (!previous_ || jobs_[*previous_].finished);
    jobs_.push_back(job);
    previous_ = jobs_.size() - 1;
  }

  const ParetoPlan& plan_;
  const std::string questions_;  // an override: the runs answer only what the analysis reads
  const Options& options_;
  const SweepSetup& setup_;
  const std::int64_t seed_;
  std::vector<PoolJob>& jobs_;
  std::optional<std::size_t> previous_;
  std::size_t pretrained_ = 0;                     // the job
  std::map<std::string, std::size_t> background_;  // the job that makes it
};

// What the runs depend on: everything but the list of them.
json without_pareto(json settings) {
  settings.erase("pareto");
  return settings;
}

json methods_by_name(const json& settings) {
  json out = json::object();
  for (const json& method : settings.at("pareto").at("methods")) {
    out[method.at("name").get<std::string>()] = {{"method", method.value("method", "")},
                                                 {"optimizer", method.value("optimizer", "")},
                                                 {"overrides", method.value("overrides", json())}};
  }
  return out;
}

json backgrounds_by_name(const json& settings) {
  json out = json::object();
  for (const json& each : settings.at("pareto").value("backgrounds", json::array())) {
    out[each.at("name").get<std::string>()] = each;
  }
  return out;
}

// "finetune.steps is 100 there and 400 now", or "" where the two agree.
std::string disagreement(const json& there, const json& now, const std::string& prefix) {
  for (const json& change : json::diff(there, now)) {
    const std::string where = change.at("path").get<std::string>();
    const json::json_pointer pointer(where);
    const auto text = [&](const json& tree) {
      return tree.contains(pointer) ? tree.at(pointer).dump() : std::string("absent");
    };
    std::string name = prefix + where.substr(1);
    for (char& c : name) c = c == '/' ? '.' : c;
    return fmt::format("{} is {} there and {} now", name, text(there), text(now));
  }
  return "";
}

// The entries that both have must agree; new ones may come.
std::string disagreement_of_entries(const json& there, const json& now, const std::string& list) {
  for (const auto& [name, entry] : now.items()) {
    if (!there.contains(name)) continue;
    const std::string text = disagreement(there[name], entry, list + "." + name + ".");
    if (!text.empty()) return text;
  }
  return "";
}

std::string disagreement_of_sweeps(const json& there, const json& now) {
  const std::string settings = disagreement(without_pareto(there), without_pareto(now), "");
  if (!settings.empty()) return settings;
  const std::string backgrounds = disagreement_of_entries(
      backgrounds_by_name(there), backgrounds_by_name(now), "pareto.backgrounds");
  if (!backgrounds.empty()) return backgrounds;
  return disagreement_of_entries(methods_by_name(there), methods_by_name(now), "pareto.methods");
}

bool is_seed_folder(const std::string& name) {
  return name.starts_with("seed-") && name.size() > 5 &&
         name.find_first_not_of("0123456789", 5) == name.npos;
}

void delete_sweep(const fs::path& out) {
  std::vector<fs::path> made;
  for (const fs::directory_entry& entry : fs::directory_iterator(out)) {
    if (entry.is_directory() && is_seed_folder(entry.path().filename().string())) {
      made.push_back(entry.path());
    }
  }
  for (const char* name : {"settings.json", "runs.csv", "summary.json", "report.html", "pareto.gp",
                           "gnuplot.txt", kPretrainedNote}) {
    made.push_back(out / name);
  }
  for (const ParetoFigure& figure : kParetoFigures) {
    for (const char* ending : {".png", ".svg"}) made.push_back(out / figure.file(ending));
  }
  for (const fs::path& path : made) {
    std::error_code error;
    fs::remove_all(path, error);
    if (error) user_error("cannot delete {}: {}", path.string(), error.message());
  }
}

}  // namespace

bool run_finished(const fs::path& folder) {
  std::ifstream file(folder / "result.json");
  const json result = json::parse(file, nullptr, false);
  return result.is_object() && result.value("finished", false);
}

fs::path data_folder(const fs::path& out, std::int64_t seed) {
  return seed_folder(out, seed) / "data";
}

fs::path pretrain_folder(const fs::path& out, std::int64_t seed) {
  return seed_folder(out, seed) / "pretrain";
}

fs::path finetune_folder(const fs::path& out, std::int64_t seed, const ParetoMethod& method,
                         const ParetoSetting& setting) {
  return seed_folder(out, seed) / run_name(method, setting);
}

const std::vector<std::string>& sweep_verbs() {
  static const std::vector<std::string> verbs = {"prepare", "pretrain", "background", "finetune"};
  return verbs;
}

std::vector<PoolJob> sweep_jobs(const ParetoPlan& plan, const Options& options,
                                const SweepSetup& setup) {
  std::vector<PoolJob> jobs;
  std::vector<SeedJobs> seeds;
  for (std::int64_t seed : plan.seeds) {
    seeds.emplace_back(plan, options, setup, seed, jobs);
    seeds.back().add_base();
  }
  // The pretraining of every seed comes first: it is the longest chain.
  for (const ParetoMethod& method : plan.methods) {
    for (const ParetoSetting& setting : method.settings) {
      for (SeedJobs& seed : seeds) seed.add_finetuning(method, setting);
    }
  }
  return jobs;
}

json read_sweep_settings(const fs::path& out) {
  if (!fs::exists(out / "settings.json")) return nullptr;
  json settings = json::parse(read_file(out / "settings.json"), nullptr, false);
  const bool ours = settings.is_object() &&
                    settings.value("made_by", json()) == "slotwise-pareto" &&
                    settings.contains("settings") && settings.contains("seeds") &&
                    settings.contains("arguments") && settings.contains("command") &&
                    settings.value("versions", json()).is_object();
  if (!ours) {
    user_error("{} was not written by slotwise-pareto of this version; use another --out",
               (out / "settings.json").string());
  }
  return settings;
}

void refuse_other_sweep(const fs::path& out, const json& there, const json& now) {
  const std::string text = disagreement_of_sweeps(there, now);
  if (text.empty()) return;
  user_error(
      "{} holds a sweep with other settings ({}); use another --out, or --fresh to delete that "
      "sweep and start anew",
      out.string(), text);
}

void refuse_other_build(const fs::path& out, const json& there, const json& now) {
  const std::string text = other_build(there, now);
  if (text.empty()) return;
  user_error(
      "{} holds results of another build of Slotwise ({}); use another --out, or --fresh to delete "
      "that sweep and start anew",
      out.string(), text);
}

FolderLock::FolderLock(const fs::path& folder) {
  create_folder(folder);
  descriptor_ = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor_ < 0) user_error("cannot open {}: {}", folder.string(), std::strerror(errno));
  if (flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  close(descriptor_);
  user_error("another slotwise-pareto is at work in {}; wait for it or use another --out",
             folder.string());
}

FolderLock::~FolderLock() {
  close(descriptor_);
}

SweepFolder::SweepFolder(const fs::path& out, const json& settings, bool fresh) : lock_(out) {
  const json earlier = read_sweep_settings(out);
  if (earlier.is_null() && !fs::is_empty(out)) {
    user_error("{} is not empty and holds no sweep; use another --out", out.string());
  }
  if (!earlier.is_null() && fresh) {
    delete_sweep(out);
  } else if (!earlier.is_null()) {
    refuse_other_sweep(out, earlier.at("settings"), settings.at("settings"));
    refuse_other_build(out, earlier.at("versions"), settings.at("versions"));
  }
  write_file_atomically(out / "settings.json", settings.dump(2) + "\n");
}

json sweep_settings(const Options& options, const ParetoPlan& plan, const std::string& command,
                    const SweepSetup& setup) {
  json versions = sweep_versions(setup.programs, sweep_verbs());
  versions["device"] = setup.device;
  versions["precision"] = setup.precision;
  return {{"made_by", "slotwise-pareto"},
          {"command", command},
          {"arguments", setup.settings_arguments},
          {"seeds", plan.seeds},
          {"versions", versions},
          {"settings", json::parse(options.json_text())}};
}

std::string failure_text(const PoolJob& job, const std::string& reason) {
  constexpr std::size_t kLines = 5;
  std::ifstream file(job.log);
  std::deque<std::string> last;
  for (std::string line; std::getline(file, line);) {
    if (line.empty()) continue;
    last.push_back(line);
    if (last.size() > kLines) last.pop_front();
  }
  std::string text;
  for (const std::string& line : last) text += "\n  " + line;
  return fmt::format("{} failed ({}); its log is {}{}{}", job.name, reason, job.log.string(),
                     last.empty() ? " and is empty" : " and ends with", text);
}

}  // namespace slotwise
