// Text files as a stream, plain, gzip or Zstandard. The first bytes decide which; a file named .gz
// or .zst that holds something else is refused. Truncated and damaged files are UserErrors that
// name the file, thrown when the damage is reached: a reader may have seen the part before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace slotwise {

class CompressedReader {
 public:
  explicit CompressedReader(const std::filesystem::path& path);
  ~CompressedReader();

  // Up to `capacity` unpacked bytes; 0 only at the end.
  std::size_t read(char* bytes, std::size_t capacity);

  struct Decoder;  // one for each format

 private:
  std::unique_ptr<Decoder> decoder_;
};

// Calls `line` with every line, without its end ("\n" or "\r\n"), and its number from 1.
void read_lines(const std::filesystem::path& path,
                const std::function<void(std::string_view text, std::int64_t line)>& line);

// The whole unpacked text.
std::string read_compressed_file(const std::filesystem::path& path);

}  // namespace slotwise
