#include "train/pareto_base.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "memory/background_usage.h"
#include "train/pareto_sweep.h"

namespace slotwise {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// A copy that is not whole never has the name of one.
void copy_whole(const fs::path& from, const fs::path& to) {
  const fs::path aside = to.string() + ".part";
  std::error_code error;
  fs::remove_all(aside, error);
  create_folder(to.parent_path());
  fs::copy(from, aside, fs::copy_options::recursive, error);
  if (!error && fs::exists(aside / "checkpoint")) {
    for (const fs::path& background : background_files(aside / "checkpoint")) {
      fs::remove(background, error);
    }
  }
  if (!error) fs::remove_all(to, error);
  if (!error) fs::rename(aside, to, error);
  if (error) {
    user_error("cannot copy {} to {}: {}", from.string(), to.string(), error.message());
  }
}

void refuse_other_world(const fs::path& from, const json& there, const json& now) {
  for (const char* section : {"data", "model", "memory", "pretrain", "evaluate"}) {
    if (there.value(section, json()) == now.value(section, json())) continue;
    user_error(
        "{} was pretrained with other settings of [{}]; leave out --pretrained to pretrain here",
        from.string(), section);
  }
}

}  // namespace

void check_pretrained(const fs::path& from, const fs::path& out, const ParetoPlan& plan,
                      const json& settings) {
  const json theirs = read_sweep_settings(from);
  if (theirs.is_null()) user_error("{} holds no sweep to take models from", from.string());
  refuse_other_world(from, theirs.at("settings"), settings);
  for (const std::int64_t seed : plan.seeds) {
    if (run_finished(pretrain_folder(out, seed))) continue;
    if (run_finished(pretrain_folder(from, seed)) &&
        fs::exists(data_folder(from, seed) / "prepare.json")) {
      continue;
    }
    user_error(
        "{} has no finished pretraining of seed {}; leave it out of --seeds, or leave out "
        "--pretrained",
        from.string(), seed);
  }
}

void take_pretrained(const fs::path& from, const fs::path& out, const ParetoPlan& plan) {
  bool taken = false;
  for (const std::int64_t seed : plan.seeds) {
    if (run_finished(pretrain_folder(out, seed))) continue;
    copy_whole(data_folder(from, seed), data_folder(out, seed));
    copy_whole(pretrain_folder(from, seed), pretrain_folder(out, seed));
    taken = true;
  }
  if (!taken) return;
  const json note = {{"from", from.string()}, {"versions", read_sweep_settings(from)["versions"]}};
  write_file_atomically(out / kPretrainedNote, note.dump(2) + "\n");
}

json versions_of_results(const fs::path& out) {
  json versions = read_sweep_settings(out).at("versions");
  if (fs::exists(out / kPretrainedNote)) {
    versions["pretrained"] = json::parse(read_file(out / kPretrainedNote), nullptr, false);
  }
  return versions;
}

}  // namespace slotwise
