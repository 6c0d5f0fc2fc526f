#include "train/run_folder.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/files.h"
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
    : out_(request.out) {
  create_folder(out_);
  if (request.fresh) clear_run(out_);
  const fs::path path = out_ / "run.json";
  if (fs::exists(path)) {
    const auto before = nlohmann::json::parse(read_file(path), nullptr, false);
    expect_same(before, settings, out_);
  } else if (!fs::is_empty(out_) && (fs::exists(result()) || fs::exists(checkpoint()))) {
    user_error(
        "{} holds a run without its run.json; choose another --out, or --fresh to begin again",
        out_.string());
  }
  write_file_atomically(path, settings.dump(2) + "\n");
}

bool RunFolder::finished() const {
  return fs::exists(result());
}

bool RunFolder::resumable() const {
  return checkpoint_exists(checkpoint()) && !read_trainer_json(checkpoint()).is_null();
}

void RunFolder::write_result(const nlohmann::json& value) const {
  write_file_atomically(result(), value.dump(2) + "\n");
}

}  // namespace slotwise
