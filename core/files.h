// Files written aside and renamed: a reader sees the old text or the new one, never a part, and a
// run that dies leaves what was there before. The aside file stands in the same folder, so that the
// rename is one step of the file system. Failures are UserErrors: "cannot write X: reason".
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace slotwise {

std::string read_file(const std::filesystem::path& path);
void write_file_atomically(const std::filesystem::path& path, std::string_view text);
// UserError where a file could not be written at `path` now: for the start of a long program, which
// is to find this before its work. Leaves nothing behind.
void expect_writable(const std::filesystem::path& path);
void create_folder(const std::filesystem::path& folder);  // with its parents; may exist already
// A copy that is on the disk on return; `to` must not exist.
void copy_file_flushed(const std::filesystem::path& from, const std::filesystem::path& to);
// Puts what was renamed in this folder on the disk, where its file system can.
void sync_folder(const std::filesystem::path& folder);

// The same for files that are too large for one string. Without commit() nothing appears at `path`.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* bytes, std::size_t count);  // appends, buffered
  // Overwrites bytes that were written before.
  void overwrite(std::uint64_t position, const void* bytes, std::size_t count);
  std::uint64_t size() const { return flushed_ + buffer_.size(); }
  void commit();

 private:
  void flush();
  void write_all(const char* bytes, std::size_t count, std::uint64_t position);
  [[noreturn]] void refuse() const;  // throws for errno

  std::filesystem::path path_;
  std::filesystem::path aside_;
  int descriptor_ = -1;
  std::uint64_t flushed_ = 0;
  std::vector<char> buffer_;
};

}  // namespace slotwise
