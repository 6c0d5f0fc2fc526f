// The heart of BPE: while a word holds a pair of neighbours that the merge table knows, join the
// pair of the lowest rank, the leftmost among equals.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace slotwise {

struct Merge {
  std::int32_t rank;
  std::int32_t merged;  // id of the joined token
};

// Hash map from a pair of ids, open addressing, at most half full.
class MergeTable {
 public:
  explicit MergeTable(std::size_t merge_count);
  void set(std::int32_t left, std::int32_t right, Merge merge);
  const Merge* find(std::int32_t left, std::int32_t right) const {
    const std::uint64_t key = key_of(left, right);
    for (std::size_t i = slot_of(key);; i = (i + 1) & mask_) {
      if (keys_[i] == key) return &merges_[i];
      if (keys_[i] == kEmpty) return nullptr;
    }
  }

 private:
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};
  static std::uint64_t key_of(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 |
           static_cast<std::uint32_t>(right);
  }
  std::size_t slot_of(std::uint64_t key) const {
    return static_cast<std::size_t>((key * 0x9E3779B97F4A7C15ull) >> 20) & mask_;
  }

  std::vector<std::uint64_t> keys_;
  std::vector<Merge> merges_;
  std::size_t mask_;
};

// In place. Short words are scanned again after each merge; long ones use a heap, O(n log n).
void apply_merges(const MergeTable& table, std::vector<std::int32_t>& symbols);

}  // namespace slotwise
