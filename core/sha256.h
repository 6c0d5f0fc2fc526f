// SHA-256 of memory and files, as lower-case hex (the text that `sha256sum` prints).
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace slotwise {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256& add(const void* bytes, std::size_t count);
  Sha256& add(std::string_view text) { return add(text.data(), text.size()); }
  std::string hex();  // ends the computation

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace slotwise
