// SHA256SUMS in the form of the `sha256sum` tool, so that `sha256sum -c SHA256SUMS` checks a folder
// too.
#include <algorithm>
#include <fstream>

#include "core/error.h"
#include "core/files.h"
#include "core/sha256.h"
#include "memory/background_usage.h"
#include "train/checkpoint.h"

namespace slotwise {
namespace fs = std::filesystem;
namespace {

constexpr const char* kFile = "SHA256SUMS";
// Backgrounds are written later than the rest and renewed by themselves; they carry their own
// digests.
bool is_listed(const std::string& name) {
  return name != kFile && !is_background_file(name);
}

}  // namespace

void write_checksums(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && is_listed(name)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  std::string text;
  for (const std::string& name : names) {
    text += sha256_of_file(folder / name) + "  " + name + "\n";
  }
  write_file_atomically(folder / kFile, text);
}

// A folder without the list (made by another program) is taken as it is.
void verify_checksums(const fs::path& folder) {
  std::ifstream file(folder / kFile);
  if (!file) return;
  std::string line;
  while (std::getline(file, line)) {
    constexpr std::size_t kHexDigits = 64;
    if (line.size() < kHexDigits + 3) {
      user_error("{} is damaged; delete it to load the checkpoint without a check",
                 (folder / kFile).string());
    }
    const fs::path path = folder / line.substr(kHexDigits + 2);
    if (!fs::exists(path)) {
      user_error("the checkpoint lacks {}; it is incomplete, copy it again", path.string());
    }
    if (sha256_of_file(path) != line.substr(0, kHexDigits)) {
      user_error("{} does not match its checksum: the checkpoint is damaged, copy it again",
                 path.string());
    }
  }
}

}  // namespace slotwise
