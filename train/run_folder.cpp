#include "train/run_folder.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "train/checkpoint.h"

namespace slotwise {
namespace fs = std::filesystem;
namespace {

// Only files that a run makes itself.
void clear_run(const fs::path& out) {
  for (const char* name : {"run.json", "metrics.jsonl", "result.json"}) fs::remove(out / name);
  for (const char* name : {"checkpoint", "checkpoint.tmp", "checkpoint.old"}) {
    fs::remove_all(out / name);
  }
}

void expect_same(const nlohmann::json& before, const nlohmann::json& now, const fs::path& out) {
  if (before == now) return;
  if (!before.is_object()) {
    user_error("{} is damaged; choose another --out, or --fresh to begin again",
               (out / "run.json").string());
  }
  const auto patch = nlohmann::json::diff(before, now);
  const std::string where = patch.at(0).at("path").get<std::string>();
  const nlohmann::json::json_pointer pointer(where);
  const auto value = [&](const nlohmann::json& tree) {
    return tree.contains(pointer) ? tree.at(pointer).dump() : std::string("absent");
  };
  user_error(
      "{} holds a run with other settings ({} was {}, now {}); choose another --out, or "
      "--fresh to begin again",
      out.string(), where.substr(1), value(before), value(now));
}

}  // namespace

RunFolder::RunFolder(const RunRequest& request, const nlohmann::json& settings)
    : out_(request.out), fresh_(request.fresh), settings_(settings.dump(2) + "\n") {
  if (fs::exists(out_) && !fs::is_directory(out_)) {
    user_error("--out {} is a file; give a folder", out_.string());
  }
  if (fresh_) return;
  const fs::path path = out_ / "run.json";
  if (fs::exists(path)) {
    // What was written is compared, so that a number counts as its text does.
    expect_same(nlohmann::json::parse(read_file(path), nullptr, false),
                nlohmann::json::parse(settings_), out_);
  } else if (finished() || checkpoint_exists(checkpoint())) {
    user_error(
        "{} holds a run without its run.json; choose another --out, or --fresh to begin again",
        out_.string());
  }
}

void RunFolder::begin() {
  create_folder(out_);
  if (fresh_) clear_run(out_);
  fresh_ = false;
  write_file_atomically(out_ / "run.json", settings_);
}

bool RunFolder::finished() const {
  return !fresh_ && fs::exists(result());
}

bool RunFolder::resumable() const {
  return !fresh_ && checkpoint_exists(checkpoint()) && !read_trainer_json(checkpoint()).is_null();
}

void RunFolder::expect_finite(std::int64_t step, double loss, double gradient_norm) const {
  if (std::isfinite(loss) && std::isfinite(gradient_norm)) return;
  const std::string kept =
      resumable() ? fmt::format("{} holds step {}", checkpoint().string(),
                                read_trainer_json(checkpoint()).at("step").get<std::int64_t>())
                  : "no checkpoint was written before";
  user_error(
      "the run diverged: at step {} the loss is {} and the gradient norm {}; {}; take a lower "
      "learning rate and another --out",
      step, loss, gradient_norm, kept);
}

void RunFolder::write_result(const nlohmann::json& value) const {
  write_file_atomically(result(), value.dump(2) + "\n");
}

}  // namespace slotwise
