// The two ways to apply merges (scan and heap) against the definition, done naively.
#include <gtest/gtest.h>

#include <random>

#include "data/bpe_byte_alphabet.h"
#include "data/bpe_merge.h"

namespace slotwise {
namespace {

using Symbols = std::vector<std::int32_t>;

Symbols merge_naively(const MergeTable& table, Symbols symbols) {
  for (;;) {
    const Merge* best = nullptr;
    std::size_t place = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const Merge* merge = table.find(symbols[i], symbols[i + 1]);
      if (merge != nullptr && (best == nullptr || merge->rank < best->rank)) {
        best = merge;
        place = i;
      }
    }
    if (best == nullptr) return symbols;
    symbols[place] = best->merged;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(place) + 1);
  }
}

// Random tables, also such as no trainer would make: a merge may rank before those of its parts.
TEST(BpeMerge, ScanAndHeapFollowTheDefinition) {
  std::mt19937 random(3);
  int merged_words = 0;
  for (int round = 0; round < 200; ++round) {
    MergeTable table(30);
    for (std::int32_t rank = 0; rank < 30; ++rank) {
      const auto left = static_cast<std::int32_t>(random() % 12);
      const auto right = static_cast<std::int32_t>(random() % 12);
      table.set(left, right, {rank, static_cast<std::int32_t>(random() % 40)});
    }
    for (const std::size_t length : {0u, 1u, 2u, 3u, 20u, 47u, 48u, 49u, 50u, 300u}) {
      Symbols symbols(length);
      for (auto& symbol : symbols) symbol = static_cast<std::int32_t>(random() % 4);
      const Symbols expected = merge_naively(table, symbols);
      merged_words += expected.size() < symbols.size();
      apply_merges(table, symbols);
      EXPECT_EQ(symbols, expected) << "length " << length;
    }
  }
  EXPECT_GT(merged_words, 500);
}

TEST(BpeMerge, LaterSettingOfAPairWins) {
  MergeTable table(2);
  table.set(1, 2, {0, 3});
  table.set(1, 2, {1, 4});
  EXPECT_EQ(table.find(1, 2)->merged, 4);
  EXPECT_EQ(table.find(2, 1), nullptr);
}

TEST(BpeByteAlphabet, IsGpt2s) {
  EXPECT_EQ(visible_from_bytes(" the\n"), "\u0120the\u010a");
  EXPECT_EQ(visible_from_bytes(std::string("\0\x7f\xa0\xad\xff", 5)),
            "\u0100\u0121\u0142\u0143\u00ff");
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  EXPECT_EQ(bytes_from_visible(visible_from_bytes(all)), all);
  EXPECT_EQ(bytes_from_visible("a b"), std::nullopt);     // a space stands for no byte
  EXPECT_EQ(bytes_from_visible("\u0144"), std::nullopt);  // one past the last substitute
  EXPECT_EQ(bytes_from_visible("\u65e5"), std::nullopt);
}

}  // namespace
}  // namespace slotwise
