#include "data/mixture_loader.h"

#include <algorithm>
#include <cmath>

namespace slotwise {

MixtureLoader::MixtureLoader(std::vector<MixturePart> parts, const MixtureOptions& options)
    : parts_(std::move(parts)),
      options_(options),
      random_(options.seed, "mixture/" + options.stream) {
  SLOTWISE_CHECK(!parts_.empty(), "[mixture] expected at least one part, got none");
  double total = 0;
  for (const MixturePart& part : parts_) {
    if (!(part.weight > 0) || !std::isfinite(part.weight)) {
      user_error("part {} has weight {}: weights must be positive numbers", part.name, part.weight);
    }
    if (part.kind == PartKind::rows && part.shard->longest_sequence() < 2) {
      user_error("part {} has no sequence of two tokens or more to train on", part.name);
    }
    if (part.kind == PartKind::stream && part.shard->tokens() <= options_.window_tokens) {
      user_error("part {} has {} tokens, too few for a window of {} and the next one", part.name,
                 part.shard->tokens(), options_.window_tokens);
    }
    total += part.weight;
    cumulative_.push_back(total);
  }
  SLOTWISE_CHECK(options_.window_tokens >= 1, "[mixture] expected a window of at least 1, got {}",
                 options_.window_tokens);
  for (double& share : cumulative_) share /= total;
}

std::int64_t MixtureLoader::longest_input() const {
  std::int64_t longest = 0;
  for (const MixturePart& part : parts_) {
    longest = std::max<std::int64_t>(longest, part.kind == PartKind::rows
                                                  ? part.shard->longest_sequence() - 1
                                                  : options_.window_tokens);
  }
  return longest;
}

// Two draws a row: its part and its place.
std::uint64_t MixtureLoader::first_draw(std::int64_t index, int row) const {
  SLOTWISE_CHECK(index >= 0 && row >= 0 && row < kMaxRows, "[mixture] no row {} of batch {}", row,
                 index);
  return (static_cast<std::uint64_t>(index) * kMaxRows + static_cast<std::uint64_t>(row)) * 2;
}

std::size_t MixtureLoader::part_of_row(std::int64_t index, int row) const {
  const double drawn = random_.uniform_at(first_draw(index, row));
  const auto found = std::upper_bound(cumulative_.begin(), cumulative_.end(), drawn);
  return std::min<std::size_t>(static_cast<std::size_t>(found - cumulative_.begin()),
                               parts_.size() - 1);
}

std::vector<std::vector<std::int32_t>> MixtureLoader::sequences(std::int64_t index,
                                                                int rows) const {
  std::vector<std::vector<std::int32_t>> out;
  out.reserve(static_cast<std::size_t>(rows));
  for (int row = 0; row < rows; ++row) {
    const MixturePart& part = parts_[part_of_row(index, row)];
    const auto place = [&](std::int64_t bound) {
      return static_cast<std::int64_t>(
          random_.below_at(first_draw(index, row) + 1, static_cast<std::uint64_t>(bound)));
    };
    if (part.kind == PartKind::rows) {
      out.push_back(part.shard->sequence(place(part.shard->sequences())));
    } else {
      const std::int64_t window = options_.window_tokens;
      out.push_back(part.shard->read(place(part.shard->tokens() - window), window + 1));
    }
  }
  return out;
}

TokenBatch MixtureLoader::batch(std::int64_t index, int rows) const {
  return make_batch(sequences(index, rows), options_.pad_id);
}

}  // namespace slotwise
