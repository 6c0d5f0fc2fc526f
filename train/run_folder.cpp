#include "train/run_folder.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/error.h"
#include "core/files.h"
#include "core/sha256.h"
#include "train/checkpoint.h"

namespace slotwise {
namespace fs = std::filesystem;
namespace {

// Only files that a run makes itself.
void clear_run(const fs::path& out) {
  for (const char* name : {"run.json", "metrics.jsonl", "result.json", "result.pending",
                           "retention.gp", "retention.png", "retention.svg"}) {
    fs::remove(out / name);
  }
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

std::int64_t shards_of_run(const RunRequest& request, int ranks) {
  const fs::path path = request.out / "run.json";
  nlohmann::json before;
  if (!request.fresh && fs::exists(path)) {
    before = nlohmann::json::parse(read_file(path), nullptr, false);
  }
  const std::int64_t recorded = before.is_object() ? before.value("shards", std::int64_t{1}) : 0;
  const std::int64_t shards = request.shards > 0 ? request.shards : recorded > 0 ? recorded : ranks;
  if (recorded > 0 && recorded != shards) {
    user_error(
        "{} holds a run whose batches have {} shards, and {} would change its numbers; leave "
        "--shards out, choose another --out, or --fresh to begin again",
        request.out.string(), recorded, shards);
  }
  if (shards % ranks == 0) return shards;
  user_error(
      "{} ranks cannot share the {} shard{} of a batch evenly{}; take a number of ranks that "
      "divides {}{}",
      ranks, shards, shards == 1 ? "" : "s",
      recorded > 0 ? ", with which " + request.out.string() + " began" : "", shards,
      recorded > 0 ? ", or --fresh to begin again with another number" : ", or other --shards");
}

RunFolder::RunFolder(const RunRequest& request, const nlohmann::json& settings)
    : out_(request.out),
      fresh_(request.fresh),
      sharding_{shards_of_run(request, request.group->size()), request.group} {
  const fs::path path = out_ / "run.json";
  nlohmann::json before;  // null: no run yet
  if (!fresh_ && fs::exists(path)) {
    before = nlohmann::json::parse(read_file(path), nullptr, false);
    if (!before.is_object()) {
      user_error("{} is damaged; choose another --out, or --fresh to begin again", path.string());
    }
  } else if (!fresh_ && (fs::exists(result()) || checkpoint_exists(checkpoint()))) {
    user_error(
        "{} holds a run without its run.json; choose another --out, or --fresh to begin again",
        out_.string());
  }
  choose_threads(before, request.threads);
  nlohmann::json now = settings;
  now["threads"] = threads_;
  if (sharding_.shards > 1) now["shards"] = sharding_.shards;
  settings_ = now.dump(2) + "\n";
  // What was written is compared, so that a number counts as its text does.
  if (!before.is_null()) expect_same(before, nlohmann::json::parse(settings_), out_);
}

void RunFolder::choose_threads(const nlohmann::json& before, int wanted) {
  const auto recorded = before.is_object() ? before.find("threads") : before.end();
  const bool known = recorded != before.end() && recorded->is_number_unsigned() && *recorded > 0;
  threads_ = wanted > 0 ? wanted : known ? recorded->get<int>() : omp_get_max_threads();
  if (known && threads_ != *recorded) {
    user_error(
        "{} holds a run on {} threads, and {} would change its numbers; leave --threads out, "
        "choose another --out, or --fresh to begin again",
        out_.string(), recorded->dump(), threads_);
  }
  omp_set_num_threads(threads_);
}

// Gradients of different models would be summed without complaint.
void RunFolder::expect_alike() const {
  if (sharding_.group->size() == 1) return;
  std::string seen = settings_;
  if (resumable()) seen += read_file(existing_checkpoint(checkpoint()) / "SHA256SUMS");
  Sha256 digest;
  digest.add(seen);
  const std::string hex = digest.hex();
  const std::vector<std::int32_t> mine(hex.begin(), hex.end());
  const auto count = static_cast<std::int64_t>(mine.size());
  const auto all = sharding_.group->all_gather(Tensor::from(mine, {count}));
  const std::vector<std::int32_t> root = all.at(0).to_vector<std::int32_t>();
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    if (all[rank].to_vector<std::int32_t>() == root) continue;
    user_error(
        "rank {} finds other settings, data or another checkpoint than rank 0: all hosts must see "
        "the same --out, --data and --checkpoint, and have the same --threads",
        rank);
  }
}

void RunFolder::begin() {
  expect_alike();  // all have looked at what was there
  root_alone(*sharding_.group, [this] { write_settings(); });
  fresh_ = false;
}

void RunFolder::write_settings() {
  create_folder(out_);
  if (fresh_) clear_run(out_);
  remove_leftovers();
  fs::remove(pending());
  write_file_atomically(out_ / "run.json", settings_);
}

bool RunFolder::settle(bool wants_model) {
  if (fresh_) return false;
  sharding_.group->barrier();
  return root_decides(*sharding_.group, [&] { return settle_alone(wants_model); });
}

bool RunFolder::settle_alone(bool wants_model) {
  // The exchange of the last checkpoint is what ends a run; its result is moved in after it.
  if (!fs::exists(result()) && fs::exists(pending()) && checkpoint_exists(checkpoint()) &&
      !resumable()) {
    fs::rename(pending(), result());
  }
  if (!fs::exists(result())) return false;
  const auto row = nlohmann::json::parse(read_file(result()), nullptr, false);
  if (!row.is_object()) {
    user_error("{} is damaged; --fresh runs it again", result().string());
  }
  if (!row.value("checkpoint", true)) {
    if (wants_model) {
      user_error(
          "{} is finished and its model was not kept (--no-checkpoint); --fresh runs it again",
          out_.string());
    }
    remove_checkpoint();
    remove_leftovers();
    return true;
  }
  if (!checkpoint_exists(checkpoint())) {
    user_error(
        "{} is finished, but its model {} is missing; copy it back, or --fresh runs it again",
        out_.string(), checkpoint().string());
  }
  verify_checksums(existing_checkpoint(checkpoint()));
  remove_leftovers();
  return true;
}

bool RunFolder::resumable() const {
  return !fresh_ && checkpoint_exists(checkpoint()) && !read_trainer_json(checkpoint()).is_null();
}

bool SaveClock::due(Time now) const {
  constexpr int kShare = 20;
  return now - ended_ >= std::max<Time::duration>(std::chrono::minutes(1), kShare * cost_);
}

void SaveClock::saved(Time begin, Time end) {
  cost_ = end - begin;
  ended_ = end;
}

bool RunFolder::checkpoint_due(std::int64_t step, std::int64_t every) const {
  return every > 0 ? step % every == 0 : clock_.due(std::chrono::steady_clock::now());
}

void RunFolder::save_timed(const std::function<void()>& save) {
  const auto begin = std::chrono::steady_clock::now();
  save();
  clock_.saved(begin, std::chrono::steady_clock::now());
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
      step, std::abs(loss), std::abs(gradient_norm), kept);  // nan has a sign, too
}

void RunFolder::remove_leftovers() const {
  std::vector<fs::path> left;
  for (const auto& entry : fs::directory_iterator(out_)) {
    const std::string name = entry.path().filename().string();
    for (const char* own : {"run.json", "metrics.jsonl", "result.json", "result.pending"}) {
      if (name.starts_with(std::string(own) + ".partial-")) left.push_back(entry.path());
    }
  }
  for (const fs::path& path : left) fs::remove(path);
  if (!fs::exists(checkpoint() / "config.json")) return;
  for (const char* name : {"checkpoint.tmp", "checkpoint.old"}) fs::remove_all(out_ / name);
}

void RunFolder::remove_checkpoint() const {
  for (const char* name : {"checkpoint", "checkpoint.tmp", "checkpoint.old"}) {
    fs::remove_all(out_ / name);
  }
}

void RunFolder::finish(nlohmann::json row, const std::function<void()>& save_model) const {
  row["checkpoint"] = save_model != nullptr;
  const std::string text = row.dump(2) + "\n";
  if (!save_model) {
    write_file_atomically(result(), text);
    remove_checkpoint();
    return;
  }
  write_file_atomically(pending(), text);
  save_model();
  fs::rename(pending(), result());
}

}  // namespace slotwise
