// A file that appears whole or not at all: written under path + ".tmp", flushed to the disk, then
// renamed.
#pragma once

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <string_view>

namespace slotwise {

class WriteAside {
 public:
  explicit WriteAside(const std::filesystem::path& path);  // UserError when it cannot be made
  ~WriteAside();  // without commit() the file is dropped and the old one stays
  WriteAside(const WriteAside&) = delete;
  WriteAside& operator=(const WriteAside&) = delete;

  void write(const void* bytes, std::size_t count);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();

 private:
  [[noreturn]] void refuse(const char* verb);

  std::filesystem::path path_, aside_;
  std::FILE* file_ = nullptr;
};

}  // namespace slotwise
