#include "data/bpe_merge.h"

#include <bit>
#include <functional>
#include <limits>
#include <queue>
#include <tuple>

namespace slotwise {

namespace {

constexpr std::size_t kScanLimit = 48;  // symbols; beyond it the heap is faster
constexpr std::int32_t kNoRank = std::numeric_limits<std::int32_t>::max();

std::int32_t rank_of(const MergeTable& table, const std::vector<std::int32_t>& symbols,
                     std::size_t i) {
  if (i + 1 >= symbols.size()) return kNoRank;
  const Merge* merge = table.find(symbols[i], symbols[i + 1]);
  return merge == nullptr ? kNoRank : merge->rank;
}

void merge_by_scan(const MergeTable& table, std::vector<std::int32_t>& symbols) {
  std::int32_t ranks[kScanLimit];  // ranks[i]: of the pair (i, i + 1)
  for (std::size_t i = 0; i < symbols.size(); ++i) ranks[i] = rank_of(table, symbols, i);
  while (symbols.size() > 1) {
    std::size_t best = 0;
    for (std::size_t i = 1; i + 1 < symbols.size(); ++i) {
      if (ranks[i] < ranks[best]) best = i;
    }
    if (ranks[best] == kNoRank) return;
    symbols[best] = table.find(symbols[best], symbols[best + 1])->merged;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    for (std::size_t i = best + 1; i < symbols.size(); ++i) ranks[i] = ranks[i + 1];
    ranks[best] = rank_of(table, symbols, best);
    if (best > 0) ranks[best - 1] = rank_of(table, symbols, best - 1);
  }
}

// The symbols are a linked list; an entry of the heap that no longer says what stands at its place
// is passed over.
void merge_by_heap(const MergeTable& table, std::vector<std::int32_t>& symbols) {
  constexpr std::int32_t kGone = -1;
  const std::size_t end = symbols.size();
  std::vector<std::size_t> next(end), previous(end);
  for (std::size_t i = 0; i < end; ++i) {
    next[i] = i + 1;
    previous[i] = i == 0 ? end : i - 1;
  }
  using Entry = std::tuple<std::int32_t, std::size_t, std::int32_t>;  // rank, place, merged id
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
  const auto push = [&](std::size_t i) {
    if (i == end || next[i] == end) return;
    const Merge* merge = table.find(symbols[i], symbols[next[i]]);
    if (merge != nullptr) queue.emplace(merge->rank, i, merge->merged);
  };
  for (std::size_t i = 0; i < end; ++i) push(i);
  while (!queue.empty()) {
    const auto [rank, i, merged] = queue.top();
    queue.pop();
    if (symbols[i] == kGone || next[i] == end) continue;
    const std::size_t right = next[i];
    const Merge* merge = table.find(symbols[i], symbols[right]);
    if (merge == nullptr || merge->rank != rank) continue;
    symbols[i] = merged;
    symbols[right] = kGone;
    next[i] = next[right];
    if (next[i] != end) previous[next[i]] = i;
    push(i);
    push(previous[i]);
  }
  std::erase(symbols, kGone);
}

}  // namespace

MergeTable::MergeTable(std::size_t merge_count)
    : keys_(std::bit_ceil(2 * merge_count + 2), kEmpty),
      merges_(keys_.size()),
      mask_(keys_.size() - 1) {}

void MergeTable::set(std::int32_t left, std::int32_t right, Merge merge) {
  const std::uint64_t key = key_of(left, right);
  std::size_t i = slot_of(key);
  while (keys_[i] != kEmpty && keys_[i] != key) i = (i + 1) & mask_;
  keys_[i] = key;
  merges_[i] = merge;
}

void apply_merges(const MergeTable& table, std::vector<std::int32_t>& symbols) {
  if (symbols.size() <= kScanLimit) {
    merge_by_scan(table, symbols);
  } else {
    merge_by_heap(table, symbols);
  }
}

}  // namespace slotwise
