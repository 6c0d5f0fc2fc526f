#include "core/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <system_error>

#include "core/error.h"

namespace slotwise {
namespace {

constexpr std::size_t kBufferBytes = 1 << 20;

}  // namespace

std::string read_file(const std::filesystem::path& path) {
  // A folder opens without complaint and only fails when it is read.
  if (std::filesystem::is_directory(path))
    user_error("cannot read {}: it is a folder", path.string());
  std::ifstream file(path, std::ios::binary);
  if (!file) user_error("cannot read {}: {}", path.string(), std::strerror(errno));
  std::string text;
  std::vector<char> buffer(kBufferBytes);
  while (file) {
    file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    text.append(buffer.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) user_error("cannot read {}: {}", path.string(), std::strerror(errno));
  return text;
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  AtomicFile file(path);
  file.write(text.data(), text.size());
  file.commit();
}

void expect_writable(const std::filesystem::path& path) {
  const AtomicFile without_commit(path);
}

void create_folder(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) user_error("cannot create folder {}: {}", folder.string(), error.message());
  if (!std::filesystem::is_directory(folder)) {
    user_error("cannot create folder {}: a file of that name is in the way", folder.string());
  }
}

void copy_file_flushed(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::copy_file(from, to);
  const int descriptor = ::open(to.c_str(), O_RDONLY | O_CLOEXEC);
  const bool flushed =
      descriptor >= 0 && (::fsync(descriptor) == 0 || errno == EINVAL || errno == EROFS);
  const int reason = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (!flushed) user_error("cannot write {}: {}", to.string(), std::strerror(reason));
}

void sync_folder(const std::filesystem::path& folder) {
  const int descriptor = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

AtomicFile::AtomicFile(const std::filesystem::path& path) : path_(path), aside_(path) {
  if (std::error_code absent; std::filesystem::is_directory(path, absent)) {
    user_error("cannot write {}: it is a folder; give a file", path.string());
  }
  // A rename would put a file in the place of a device, a pipe or a link.
  std::error_code absent;
  const auto status = std::filesystem::symlink_status(path, absent);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    user_error("cannot write {}: it is not a regular file; give another path", path.string());
  }
  aside_ += fmt::format(".partial-{}", ::getpid());
  descriptor_ = ::open(aside_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ >= 0) return;
  if (errno == ENOENT && path.has_parent_path()) {
    user_error("cannot write {}: there is no folder {}; make it first", path.string(),
               path.parent_path().string());
  }
  refuse();
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
    ::unlink(aside_.c_str());
  }
}

void AtomicFile::refuse() const {
  user_error("cannot write {}: {}", path_.string(), std::strerror(errno));
}

void AtomicFile::write_all(const char* bytes, std::size_t count, std::uint64_t position) {
  while (count > 0) {
    const ssize_t written = ::pwrite(descriptor_, bytes, count, static_cast<off_t>(position));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) refuse();
    bytes += written;
    count -= static_cast<std::size_t>(written);
    position += static_cast<std::uint64_t>(written);
  }
}

void AtomicFile::flush() {
  write_all(buffer_.data(), buffer_.size(), flushed_);
  flushed_ += buffer_.size();
  buffer_.clear();
}

void AtomicFile::write(const void* bytes, std::size_t count) {
  SLOTWISE_CHECK(descriptor_ >= 0, "[atomic_file] {} is written after commit()", path_.string());
  const char* first = static_cast<const char*>(bytes);
  if (count >= kBufferBytes) {  // large pieces go straight through
    flush();
    write_all(first, count, flushed_);
    flushed_ += count;
    return;
  }
  buffer_.insert(buffer_.end(), first, first + count);
  if (buffer_.size() >= kBufferBytes) flush();
}

void AtomicFile::overwrite(std::uint64_t position, const void* bytes, std::size_t count) {
  SLOTWISE_CHECK(descriptor_ >= 0, "[atomic_file] {} is written after commit()", path_.string());
  SLOTWISE_CHECK(position + count <= size(), "[atomic_file] overwrites up to byte {} of {}",
                 position + count, size());
  flush();
  write_all(static_cast<const char*>(bytes), count, position);
}

void AtomicFile::commit() {
  SLOTWISE_CHECK(descriptor_ >= 0, "[atomic_file] {} is committed twice", path_.string());
  flush();
  if (::fsync(descriptor_) != 0 && errno != EINVAL && errno != EROFS) refuse();
  // Some file systems report a full disk only here. Linux frees the descriptor even when close
  // fails.
  const int closed = ::close(descriptor_);
  descriptor_ = -1;
  if (closed != 0 || std::rename(aside_.c_str(), path_.c_str()) != 0) {
    const int reason = errno;
    ::unlink(aside_.c_str());
    errno = reason;
    refuse();
  }
  sync_folder(path_.parent_path());
}

}  // namespace slotwise
