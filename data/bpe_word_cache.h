// Words seen before and their ids: text repeats itself, so most words are looked up, not merged.
// Sixteen parts with a lock each, so that threads seldom wait; a full part takes no more words.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/tokenizer_vocabulary.h"

namespace slotwise {

class BpeWordCache {
 public:
  static constexpr std::size_t kLongestWordBytes = 64;

  bool append(std::string_view word, std::vector<std::int32_t>& ids) {
    Part& part = part_of(word);
    const std::lock_guard lock(part.mutex);
    const auto place = part.words.find(word);
    if (place == part.words.end()) return false;
    ids.insert(ids.end(), place->second.begin(), place->second.end());
    return true;
  }

  void put(std::string_view word, const std::vector<std::int32_t>& ids) {
    Part& part = part_of(word);
    const std::lock_guard lock(part.mutex);
    if (part.words.size() < kWordsPerPart) part.words.emplace(word, ids);
  }

 private:
  static constexpr std::size_t kParts = 16;
  static constexpr std::size_t kWordsPerPart = 8192;

  struct Part {
    std::mutex mutex;
    std::unordered_map<std::string, std::vector<std::int32_t>, StringHash, std::equal_to<>> words;
  };
  Part& part_of(std::string_view word) {
    return parts_[(word.size() * 7 + static_cast<unsigned char>(word.back())) % kParts];
  }

  std::array<Part, kParts> parts_;
};

}  // namespace slotwise
