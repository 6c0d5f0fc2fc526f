#include "core/write_aside.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace slotwise {

WriteAside::WriteAside(const std::filesystem::path& path)
    : path_(path), aside_(path.string() + ".tmp"), file_(std::fopen(aside_.c_str(), "wb")) {
  if (file_ == nullptr) refuse("write");
}

WriteAside::~WriteAside() {
  if (file_ == nullptr) return;
  std::fclose(file_);
  std::error_code ignored;
  std::filesystem::remove(aside_, ignored);
}

void WriteAside::refuse(const char* verb) {
  user_error("cannot {} {}: {}", verb, path_.string(), std::strerror(errno));
}

void WriteAside::write(const void* bytes, std::size_t count) {
  if (count > 0 && std::fwrite(bytes, 1, count, file_) != count) refuse("write");
}

void WriteAside::commit() {
  if (std::fflush(file_) != 0 || fsync(fileno(file_)) != 0) refuse("write");
  std::FILE* closing = std::exchange(file_, nullptr);
  if (std::fclose(closing) != 0) refuse("write");
  std::error_code error;
  std::filesystem::rename(aside_, path_, error);
  if (error) {
    errno = error.value();
    refuse("rename the finished file to");
  }
}

}  // namespace slotwise
