#include "memory/sequence_ranks.h"

#include <algorithm>
#include <tuple>
#include <unordered_map>

namespace slotwise {
namespace {

std::vector<std::int64_t> sequence_starts(const Access& access) {
  if (access.offsets.defined()) {
    const auto offsets = access.offsets.to_vector<std::int32_t>();
    return {offsets.begin(), offsets.end()};
  }
  const std::int64_t tokens = access.slots.size(0);
  const std::int64_t length = access.length > 0 ? access.length : tokens;
  std::vector<std::int64_t> starts;
  for (std::int64_t start = 0; start <= tokens; start += std::max<std::int64_t>(length, 1)) {
    starts.push_back(start);
  }
  return starts;
}

}  // namespace

void SequenceRanks::add(const Access& access) {
  const auto slots = access.slots.to_vector<std::int32_t>();
  const auto valid =
      access.valid.defined() ? access.valid.to_vector<std::uint8_t>() : std::vector<std::uint8_t>();
  const std::int64_t width = access.slots.size(1);
  const std::vector<std::int64_t> starts = sequence_starts(access);
  for (std::size_t s = 0; s + 1 < starts.size(); ++s) {
    std::vector<std::int32_t> read;
    for (std::int64_t token = starts[s]; token < starts[s + 1]; ++token) {
      if (!valid.empty() && valid[static_cast<std::size_t>(token)] == 0) continue;
      const auto first = slots.begin() + token * width;
      read.insert(read.end(), first, first + width);
    }
    std::sort(read.begin(), read.end());
    Reads& reads = sequences_.emplace_back();
    for (const std::int32_t slot : read) {
      if (reads.empty() || reads.back().first != slot) reads.emplace_back(slot, 0);
      ++reads.back().second;
    }
  }
}

void SequenceRanks::share(Communicator& group) {
  if (group.size() == 1) return;
  std::vector<std::int32_t> packed;  // of each sequence: how many slots, then slot and count
  for (const Reads& reads : sequences_) {
    packed.push_back(static_cast<std::int32_t>(reads.size()));
    for (const auto& [slot, count] : reads) {
      packed.push_back(slot);
      packed.push_back(count);
    }
  }
  sequences_.clear();
  const auto size = static_cast<std::int64_t>(packed.size());
  for (const Tensor& theirs : group.all_gather(Tensor::from(packed, {size}))) {
    const auto numbers = theirs.span<std::int32_t>();
    for (std::size_t at = 0; at < numbers.size();) {
      Reads& reads = sequences_.emplace_back();
      for (std::int32_t left = numbers[at++]; left > 0; --left, at += 2) {
        reads.emplace_back(numbers[at], numbers[at + 1]);
      }
    }
  }
}

Tensor SequenceRanks::take(const RankedTable& table, const Tensor& touched, const Tensor& scores,
                           std::int64_t count) {
  std::unordered_map<std::int32_t, std::size_t> round;  // the first in which a slot is named
  for (const Reads& reads : sequences_) {
    std::int64_t total = 0;
    for (const auto& [slot, accesses] : reads) total += accesses;
    std::vector<std::pair<float, std::int32_t>> order;  // best first, ties to the lower slot
    for (const auto& [slot, accesses] : reads) {
      order.emplace_back(-table.score(slot, accesses, total), slot);
    }
    std::sort(order.begin(), order.end());
    for (std::size_t i = 0; i < order.size(); ++i) {
      const auto [named, fresh] = round.try_emplace(order[i].second, i);
      if (!fresh) named->second = std::min(named->second, i);
    }
  }
  sequences_.clear();
  const auto slots = touched.to_vector<std::int32_t>();
  const auto score = scores.to_vector<float>();
  std::vector<std::tuple<std::size_t, float, std::int32_t>> order;
  for (std::size_t a = 0; a < slots.size(); ++a) {
    order.emplace_back(round.at(slots[a]), -score[a], slots[a]);
  }
  const std::size_t taken = std::min(order.size(), static_cast<std::size_t>(count));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(taken), order.end());
  std::vector<std::int32_t> selected;
  for (std::size_t i = 0; i < taken; ++i) selected.push_back(std::get<2>(order[i]));
  std::sort(selected.begin(), selected.end());
  return Tensor::from(selected, {static_cast<std::int64_t>(taken)}, touched.device(),
                      "selected slots");
}

}  // namespace slotwise
