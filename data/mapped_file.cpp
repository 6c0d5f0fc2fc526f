#include "data/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace slotwise {

MappedFile::MappedFile(const std::filesystem::path& path) {
  const auto refuse = [&](int reason) {
    user_error("cannot read {}: {}", path.string(), std::strerror(reason));
  };
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) refuse(errno);
  struct stat status {};
  int reason = ::fstat(descriptor, &status) == 0 ? 0 : errno;
  if (reason == 0 && !S_ISREG(status.st_mode)) reason = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
  if (reason == 0 && status.st_size > 0) {
    bytes_ = static_cast<std::size_t>(status.st_size);
    address_ = ::mmap(nullptr, bytes_, PROT_READ, MAP_SHARED, descriptor, 0);
    if (address_ == MAP_FAILED) {
      reason = errno;
      address_ = nullptr;
    }
  }
  ::close(descriptor);
  if (reason != 0) refuse(reason);
}

MappedFile::~MappedFile() {
  if (address_ != nullptr) ::munmap(address_, bytes_);
}

}  // namespace slotwise
