#include "kernels/cpu/product_key_selector.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/cpu/rank_keys.h"

namespace slotwise::kernels::cpu {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// How many pairs have (rank1 + 1)(rank2 + 1) <= product.
std::int64_t pairs_within(std::int64_t product) {
  std::int64_t count = 0;
  for (std::int64_t rank1 = 1; rank1 <= product; ++rank1) count += product / rank1;
  return count;
}

// Groups for bound_of_kth: twice k leave about 1.35 k scores above the bound.
std::int64_t group_count(std::int64_t k) {
  return (2 * k + 7) / 8 * 8;
}

float pair_sum(float first, float second) {
  const bool padding = first == -kInfinity || second == -kInfinity;
  return padding && !std::isnan(first) && !std::isnan(second) ? -kInfinity : first + second;
}

}  // namespace

ProductKeySelector::ProductKeySelector(std::int64_t n, std::int64_t k) : n_(n), k_(k) {
  // The smallest product that admits k pairs: its least sum bounds the k-th best from below, and
  // the least is one of the last pairs of each rank1.
  std::int64_t product = 1;
  while (pairs_within(product) < k) ++product;
  for (std::int32_t rank1 = 0; rank1 < k; ++rank1) {
    for (std::int32_t rank2 = 0; rank2 < k / (rank1 + 1); ++rank2) {
      if (rank1 < product && rank2 + 1 == product / (rank1 + 1)) {
        corner_pairs_.push_back(static_cast<std::int32_t>(pairs_.size()));
      }
      pairs_.push_back({rank1, rank2});
    }
  }
  const auto pair_count = static_cast<std::int64_t>(pairs_.size());
  for (HalfList* list : {&first_, &second_}) {
    list->scores.resize(static_cast<std::size_t>(k));
    list->indices.resize(static_cast<std::size_t>(k));
  }
  sums_.resize(pairs_.size());
  group_maxima_.resize(static_cast<std::size_t>(group_count(k)));
  keys_.resize(static_cast<std::size_t>(padded_keys(std::max(n, pair_count))));
  sorted_.resize(static_cast<std::size_t>(sorted_room(k)));
}

void ProductKeySelector::sort_half(const float* scores, HalfList& list) {
  const std::int64_t groups = group_count(k_);
  float bound = -kInfinity;
  if (n_ >= 2 * groups) bound = bound_of_kth(scores, n_, k_, groups, group_maxima_.data());
  std::int64_t count = n_;
  if (bound > -kInfinity) {
    count = keys_at_least(scores, n_, bound, keys_.data());
  } else {  // too few scores, or too few that are more than padding: all of them, NaN included
    for (std::int64_t i = 0; i < n_; ++i) {
      keys_[static_cast<std::size_t>(i)] = rank_key(scores[i], static_cast<std::uint32_t>(i));
    }
  }
  take_largest(keys_.data(), count, k_, sorted_.data());
  for (std::size_t rank = 0; rank < static_cast<std::size_t>(k_); ++rank) {
    const std::uint32_t index = position_of(sorted_[rank]);
    list.indices[rank] = static_cast<std::int32_t>(index);
    list.scores[rank] = scores[index];
  }
}

// Without equal scores in the first half, without NaN and +inf, pairs of equal sums stand in the
// order of (rank1, rank2), so the position in pairs_ breaks ties.
bool ProductKeySelector::plain() const {
  if (!(first_.scores.front() < kInfinity) || !(second_.scores.front() < kInfinity)) return false;
  if (std::isnan(first_.scores.back()) || std::isnan(second_.scores.back())) return false;
  bool ties = false;
  for (std::size_t rank = 1; rank < first_.scores.size(); ++rank) {
    ties |= first_.scores[rank] == first_.scores[rank - 1];
  }
  return !ties;
}

void ProductKeySelector::emit(std::int64_t place, Pair pair, float sum, std::int32_t* slots,
                              float* scores) const {
  slots[place] =
      first_.indices[static_cast<std::size_t>(pair.rank1)] * static_cast<std::int32_t>(n_) +
      second_.indices[static_cast<std::size_t>(pair.rank2)];
  scores[place] = sum;
}

void ProductKeySelector::select_plain(std::int32_t* slots, float* scores) {
  float* sum = sums_.data();
  for (std::int64_t rank1 = 0; rank1 < k_; ++rank1) {
    const float first = first_.scores[static_cast<std::size_t>(rank1)];
    const float* second = second_.scores.data();
    const std::int64_t ranks = k_ / (rank1 + 1);
    for (std::int64_t rank2 = 0; rank2 < ranks; ++rank2) sum[rank2] = first + second[rank2];
    sum += ranks;
  }
  float bound = kInfinity;
  for (const std::int32_t corner : corner_pairs_) {
    bound = std::min(bound, sums_[static_cast<std::size_t>(corner)]);
  }
  const std::int64_t count =
      keys_at_least(sums_.data(), static_cast<std::int64_t>(sums_.size()), bound, keys_.data());
  take_largest(keys_.data(), count, k_, sorted_.data());
  for (std::int64_t place = 0; place < k_; ++place) {
    const std::uint32_t position = position_of(sorted_[static_cast<std::size_t>(place)]);
    emit(place, pairs_[position], sums_[position], slots, scores);
  }
}

void ProductKeySelector::select_with_ties(std::int32_t* slots, float* scores) {
  const auto first = [&](Pair pair) { return first_.scores[static_cast<std::size_t>(pair.rank1)]; };
  const auto second = [&](Pair pair) {
    return second_.scores[static_cast<std::size_t>(pair.rank2)];
  };
  const auto precedes = [&](Pair a, Pair b) {
    const std::uint32_t orders[3][2] = {
        {score_order(pair_sum(first(a), second(a))), score_order(pair_sum(first(b), second(b)))},
        {score_order(first(a)), score_order(first(b))},
        {score_order(second(a)), score_order(second(b))}};
    for (const auto& order : orders) {
      if (order[0] != order[1]) return order[0] > order[1];
    }
    // Equal scores stand by ascending index in the half lists.
    return a.rank1 != b.rank1 ? a.rank1 < b.rank1 : a.rank2 < b.rank2;
  };
  order_ = pairs_;
  std::partial_sort(order_.begin(), order_.begin() + k_, order_.end(), precedes);
  for (std::int64_t place = 0; place < k_; ++place) {
    const Pair pair = order_[static_cast<std::size_t>(place)];
    emit(place, pair, pair_sum(first(pair), second(pair)), slots, scores);
  }
}

void ProductKeySelector::select(const float* first, const float* second, std::int32_t* slots,
                                float* scores) {
  sort_half(first, first_);
  sort_half(second, second_);
  if (plain()) {
    select_plain(slots, scores);
  } else {
    select_with_ties(slots, scores);
  }
}

}  // namespace slotwise::kernels::cpu
