// The runs of a sweep and the folder they live in:
//   DIR/settings.json                      what was asked; a sweep with other settings is refused
//   DIR/seed-S/data, DIR/seed-S/pretrain   one dataset and one pretrained model a seed
//   DIR/seed-S/<method>-<setting>          one finetuning run
//   DIR/seed-S/logs/<run>.txt              what a run printed
// Every run is a program of its own that resumes by itself; a run whose last file is there is not
// started again.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "train/options.h"
#include "train/pareto_plan.h"
#include "train/process_pool.h"

namespace slotwise {

struct SweepSetup {
  std::filesystem::path out;
  std::filesystem::path programs;               // where slotwise-pretrain and the others are
  std::vector<std::string> settings_arguments;  // --preset NAME --set ..., for every program
  std::string device = "cpu";                   // --device of the programs
  std::string precision = "fp32";               // --precision of pretraining and finetuning
  std::string attention = "auto";               // --attention of the programs
  bool keep_checkpoints = false;                // the finetuned models, too
};

// The programs that the jobs of a sweep run.
const std::vector<std::string>& sweep_verbs();

// Whether a run has ended: its result.json says so.
bool run_finished(const std::filesystem::path& folder);

std::filesystem::path data_folder(const std::filesystem::path& out, std::int64_t seed);
std::filesystem::path pretrain_folder(const std::filesystem::path& out, std::int64_t seed);
std::filesystem::path finetune_folder(const std::filesystem::path& out, std::int64_t seed,
                                      const ParetoMethod& method, const ParetoSetting& setting);

// prepare -> pretrain -> background -> finetuning runs, for each seed.
std::vector<PoolJob> sweep_jobs(const ParetoPlan& plan, const Options& options,
                                const SweepSetup& setup);

// What DIR/settings.json holds, or null where there is none.
nlohmann::json read_sweep_settings(const std::filesystem::path& out);

// UserError where the runs of the two sweeps cannot stand in one folder: anything but the list of
// runs differs (seeds, settings tried, matched target).
void refuse_other_sweep(const std::filesystem::path& out, const nlohmann::json& settings_there,
                        const nlohmann::json& settings_now);

// UserError where the results there are of another build, device or precision than now.
void refuse_other_build(const std::filesystem::path& out, const nlohmann::json& versions_there,
                        const nlohmann::json& versions_now);

// Held by one process at a time, until it ends.
class FolderLock {
 public:
  explicit FolderLock(const std::filesystem::path& folder);  // UserError when another holds it
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_ = -1;
};

// Takes DIR for a sweep: makes the folder, refuses a folder of something else, of a sweep with
// other settings or of one by another build, and writes settings.json. `fresh` first deletes what
// an earlier sweep made there, and nothing else.
class SweepFolder {
 public:
  SweepFolder(const std::filesystem::path& out, const nlohmann::json& settings, bool fresh);

 private:
  const FolderLock lock_;
};

// {"made_by", "command", "arguments", "seeds", "versions", "settings"}
nlohmann::json sweep_settings(const Options& options, const ParetoPlan& plan,
                              const std::string& command, const SweepSetup& setup);

// "seed-0/full-lr1e-4 failed (exit code 1): <last lines>; the whole log is ..."
std::string failure_text(const PoolJob& job, const std::string& reason);

}  // namespace slotwise
