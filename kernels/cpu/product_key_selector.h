// The exact top-k of all n^2 sums of two rows of half scores, for one query at a time; one selector
// a thread, scratch included. Order: see kernels/product_key.h. Sums are s1 + s2 in fp32; NaN in a
// half makes the sum NaN (lowest), otherwise -inf in a half makes it -inf (also against +inf), so
// that a sum never falls when a half rises.
//
// Each half list is sorted by (score descending, index ascending). A pair at ranks (r1, r2), from
// 0, is preceded by every pair (q1 <= r1, q2 <= r2) but itself: its sum is no smaller, since
// rounding is monotone; where sums are equal s1, then s2 are no smaller; where these are equal,
// too, i1, then i2 are lower. So only pairs with (r1 + 1)(r2 + 1) <= k can be among the first k,
// rounding and ties included, and half lists of k suffice.
#pragma once

#include <cstdint>
#include <vector>

namespace slotwise::kernels::cpu {

class ProductKeySelector {
 public:
  ProductKeySelector(std::int64_t n, std::int64_t k);

  // first, second: n half scores each; slots, scores: k each.
  void select(const float* first, const float* second, std::int32_t* slots, float* scores);

 private:
  struct HalfList {
    std::vector<float> scores;
    std::vector<std::int32_t> indices;
  };
  struct Pair {
    std::int32_t rank1, rank2;
  };

  void sort_half(const float* scores, HalfList& list);
  bool plain() const;
  void select_plain(std::int32_t* slots, float* scores);
  void select_with_ties(std::int32_t* slots, float* scores);
  void emit(std::int64_t place, Pair pair, float sum, std::int32_t* slots, float* scores) const;

  std::int64_t n_, k_;
  std::vector<Pair> pairs_;                 // all that can qualify, by (rank1, rank2)
  std::vector<std::int32_t> corner_pairs_;  // the least of a set of >= k pairs is among these
  HalfList first_, second_;
  std::vector<float> sums_;  // of pairs_
  std::vector<float> group_maxima_;
  std::vector<double> keys_;  // see rank_keys.h
  std::vector<double> sorted_;
  std::vector<Pair> order_;
};

}  // namespace slotwise::kernels::cpu
