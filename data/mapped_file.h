// A whole file, memory-mapped for reading: pages come in as they are touched and are shared between
// processes that map the same file.
#pragma once

#include <cstddef>
#include <filesystem>

namespace slotwise {

class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::byte* data() const { return static_cast<const std::byte*>(address_); }
  std::size_t bytes() const { return bytes_; }

 private:
  void* address_ = nullptr;  // null for an empty file
  std::size_t bytes_ = 0;
};

}  // namespace slotwise
