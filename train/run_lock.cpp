#include "train/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/error.h"
#include "core/files.h"

namespace slotwise {
namespace fs = std::filesystem;
namespace {

fs::path resolved(const fs::path& path) {
  std::error_code error;
  const fs::path out = fs::weakly_canonical(path, error);
  const fs::path plain = error ? fs::absolute(path).lexically_normal() : out;
  return plain.has_filename() ? plain : plain.parent_path();
}

std::vector<fs::path> missing_folders(const fs::path& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (fs::path each = resolved(folder); each.has_relative_path(); each = each.parent_path()) {
    if (fs::exists(each, error)) break;
    out.push_back(each);
  }
  return out;
}

// Whether the open file is the one that the path names now: its last owner may have removed it.
bool same_file(int descriptor, const fs::path& path) {
  struct stat open_file {
  }, named{};
  return fstat(descriptor, &open_file) == 0 && stat(path.c_str(), &named) == 0 &&
         open_file.st_ino == named.st_ino && open_file.st_dev == named.st_dev;
}

bool lies_in(const fs::path& inner, const fs::path& outer) {
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

// srun that does not speak PMIx leaves every task to do the whole work by itself.
const char* hint_for_tasks() {
  const char* tasks = std::getenv("SLURM_STEP_NUM_TASKS");
  return tasks != nullptr && std::atoi(tasks) > 1
             ? " (tasks of srun work together when started with srun --mpi=pmix)"
             : "";
}

}  // namespace

RunLock::RunLock(const fs::path& folder)
    : path_(folder / "run.lock"), made_(missing_folders(folder)) {
  create_folder(folder);
  while (true) {
    descriptor_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0) user_error("cannot write {}: {}", path_.string(), std::strerror(errno));
    if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      const int reason = errno;
      close(descriptor_);
      if (reason != EWOULDBLOCK) {
        user_error("cannot lock {}: {}", path_.string(), std::strerror(reason));
      }
      user_error("another program is at work in {}; wait until it ends or choose another folder{}",
                 folder.string(), hint_for_tasks());
    }
    if (same_file(descriptor_, path_)) return;
    close(descriptor_);
  }
}

RunLock::~RunLock() {
  unlink(path_.c_str());
  close(descriptor_);
  for (const fs::path& folder : made_) {
    if (rmdir(folder.c_str()) != 0) break;
  }
}

void refuse_foreign_folder(const fs::path& out, const std::vector<std::string>& own) {
  if (!fs::is_directory(out)) return;
  std::string found;
  for (const auto& entry : fs::directory_iterator(out)) {
    const std::string name = entry.path().filename().string();
    if (std::find(own.begin(), own.end(), name) != own.end()) return;
    if (name != "run.lock" && name.find(".partial-") == std::string::npos) found = name;
  }
  if (found.empty()) return;
  user_error(
      "--out {} is not empty ({} is in it) and was not made by this program; give a new folder",
      out.string(), found);
}

void refuse_out_file(const fs::path& out) {
  std::error_code error;
  if (fs::exists(out, error) && !fs::is_directory(out, error)) {
    user_error("--out {} is a file; give a folder", out.string());
  }
}

void refuse_out_among_inputs(const fs::path& out, const std::vector<fs::path>& inputs) {
  refuse_out_file(out);
  const fs::path folder = resolved(out);
  for (const fs::path& input : inputs) {
    const fs::path read = resolved(input);
    if (lies_in(folder, read)) {
      user_error("--out {} {} {}, which this run reads; give a folder of its own", out.string(),
                 folder == read ? "is" : "lies in", input.string());
    }
    if (lies_in(read, folder / "checkpoint")) {
      user_error("--out {} is the run that made {}, which this run reads; give a folder of its own",
                 out.string(), input.string());
    }
  }
  std::error_code error;
  if (fs::exists(out / "dataset.json", error)) {
    user_error("--out {} holds a dataset; give a folder of its own", out.string());
  }
  if (fs::exists(out / "config.json", error)) {
    user_error("--out {} holds a model; give a folder of its own", out.string());
  }
}

}  // namespace slotwise
