// Short top-k lists without branches. A (score, position) pair becomes one double in [1, 2), whose
// 52 mantissa bits hold the score's order, then the lower position first: all keys are distinct and
// one vector comparison orders both. Places come from counting how many keys are larger.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/score_order.h"

namespace slotwise::kernels::cpu {

inline constexpr std::uint32_t kMostPositions = 1u << 20;

inline double rank_key(float score, std::uint32_t position) {
  const std::uint64_t low = kMostPositions - 1 - position;
  return std::bit_cast<double>(0x3ff0000000000000u | std::uint64_t{score_order(score)} << 20 | low);
}

inline std::uint32_t position_of(double key) {
  const auto low = static_cast<std::uint32_t>(std::bit_cast<std::uint64_t>(key));
  return kMostPositions - 1 - (low & (kMostPositions - 1));
}

// Room that the key arrays below need for `count` keys: counting works on whole blocks.
std::int64_t padded_keys(std::int64_t count);

// Room that `sorted` needs below: more than k, for what falls behind is written, too.
std::int64_t sorted_room(std::int64_t k);

// sorted[0..k) = the k largest of keys[0..count) in descending order; k <= count. Changes keys.
void take_largest(double* keys, std::int64_t count, std::int64_t k, double* sorted);

// Writes the keys of all scores >= threshold, by ascending position; returns how many.
std::int64_t keys_at_least(const float* scores, std::int64_t count, float threshold, double* keys);

// A lower bound of the k-th largest of scores[0..count), NaN left out; -inf where there is none.
// The scores fall into `groups` (a multiple of 8, >= k) by position; the k-th largest of the
// groups' maxima is such a bound, and a tight one. maxima: scratch of `groups`.
float bound_of_kth(const float* scores, std::int64_t count, std::int64_t k, std::int64_t groups,
                   float* maxima);

}  // namespace slotwise::kernels::cpu
