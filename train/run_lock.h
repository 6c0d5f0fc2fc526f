// One program at a time in a folder: an exclusive flock on the file run.lock. The system takes the
// lock off when the process ends, however it ends, so a crash leaves no stale one. A start that
// finds a mistake leaves no trace: the destructor removes the file, and folders that it made and
// that are still empty.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace slotwise {

class RunLock {
 public:
  // Makes the folder where there is none. UserError when another program holds it.
  explicit RunLock(const std::filesystem::path& folder);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  std::filesystem::path path_;
  std::vector<std::filesystem::path> made_;  // folders, the innermost first
  int descriptor_ = -1;
};

void refuse_out_file(const std::filesystem::path& out);  // UserError when `out` is a file

// UserError when `out` holds something and none of the files `own`, by which a folder of ours is
// known: nothing is mixed with what somebody else keeps.
void refuse_foreign_folder(const std::filesystem::path& out, const std::vector<std::string>& own);

// UserError when `out` is a file, holds a dataset or a model, or is one of `inputs` or lies in one:
// a run must not write among what it reads. `out` may be the folder in which an input lies, but
// not when a fresh start would throw that input away.
void refuse_out_among_inputs(const std::filesystem::path& out,
                             const std::vector<std::filesystem::path>& inputs);

}  // namespace slotwise
