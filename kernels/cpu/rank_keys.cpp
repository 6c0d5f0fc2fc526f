#include "kernels/cpu/rank_keys.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <limits>

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace slotwise::kernels::cpu {
namespace {

constexpr std::int64_t kBlock = 16;         // keys whose places are counted together
constexpr std::int64_t kMostCounted = 192;  // counting is quadratic: beyond this, sort
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Vectors of the compiler, on any machine; a true comparison is -1 in every lane.
using Keys4 = double __attribute__((vector_size(32)));
using Places4 = std::int64_t __attribute__((vector_size(32)));
using Scores8 = float __attribute__((vector_size(32)));
using Places8 = std::int32_t __attribute__((vector_size(32)));

// keys is padded with zeros to a whole block; their place is `count`.
void sort_by_counting(const double* keys, std::int64_t count, double* sorted) {
  constexpr int kVectors = kBlock / 4;
  for (std::int64_t i = 0; i < count; i += kBlock) {
    Keys4 mine[kVectors];
    std::memcpy(mine, keys + i, sizeof mine);
    Places4 places[kVectors] = {};
    for (std::int64_t j = 0; j < count; ++j) {
      const Keys4 other = {keys[j], keys[j], keys[j], keys[j]};
      for (int v = 0; v < kVectors; ++v) places[v] -= other > mine[v];
    }
    for (int lane = 0; lane < kBlock; ++lane) {
      sorted[places[lane / 4][lane % 4]] = keys[i + lane];
    }
  }
}

// The k-th largest of few values without NaN, equal ones included; count is a multiple of 8.
float kth_largest(float* values, std::int64_t count, std::int64_t k) {
  if (count > kMostCounted) {
    std::nth_element(values, values + (k - 1), values + count, std::greater<float>());
    return values[k - 1];
  }
  Scores8 kth = Scores8{} + kInfinity;
  for (std::int64_t begin = 0; begin < count; begin += 8) {
    Scores8 mine;
    std::memcpy(&mine, values + begin, sizeof mine);
    Places8 larger[2] = {};  // two chains, for the sums depend on each other
    for (std::int64_t j = 0; j < count; j += 2) {
      larger[0] -= values[j] > mine;
      larger[1] -= values[j + 1] > mine;
    }
    larger[0] += larger[1];
    const Places8 limit = Places8{} + static_cast<std::int32_t>(k);
    kth = ((larger[0] < limit) & (mine < kth)) != 0 ? mine : kth;
  }
  float least = kth[0];
  for (int lane = 1; lane < 8; ++lane) least = std::min(least, kth[lane]);
  return least;
}

// Maxima of the groups from `lanes` on, eight times kVectors of them.
template <int kVectors>
void take_maxima(const float* scores, std::int64_t count, std::int64_t groups, std::int64_t lanes,
                 float* maxima) {
  Scores8 largest[kVectors];
  for (Scores8& vector : largest) vector = Scores8{} - kInfinity;
  for (std::int64_t begin = lanes; begin < count; begin += groups) {
    for (int v = 0; v < kVectors; ++v) {
      Scores8 mine;
      std::memcpy(&mine, scores + begin + 8 * v, sizeof mine);
      largest[v] = mine > largest[v] ? mine : largest[v];
    }
  }
  std::memcpy(maxima + lanes, largest, sizeof largest);
}

}  // namespace

std::int64_t padded_keys(std::int64_t count) {
  return (count + kBlock - 1) / kBlock * kBlock;
}

std::int64_t sorted_room(std::int64_t k) {
  return std::max(k, kMostCounted + 1);
}

void take_largest(double* keys, std::int64_t count, std::int64_t k, double* sorted) {
  if (count > kMostCounted && k < count) {
    std::nth_element(keys, keys + (k - 1), keys + count, std::greater<double>());
    count = k;
  }
  if (count > kMostCounted) {
    std::sort(keys, keys + count, std::greater<double>());
    std::copy(keys, keys + k, sorted);
    return;
  }
  std::fill(keys + count, keys + padded_keys(count), 0.0);
  sort_by_counting(keys, count, sorted);
}

std::int64_t keys_at_least(const float* scores, std::int64_t count, float threshold, double* keys) {
  std::int64_t found = 0, i = 0;
#ifdef __AVX2__
  const __m256 limit = _mm256_set1_ps(threshold);
  const auto hits = [&](std::int64_t at) {
    const __m256 mask = _mm256_cmp_ps(_mm256_loadu_ps(scores + at), limit, _CMP_GE_OQ);
    return static_cast<std::uint64_t>(static_cast<unsigned>(_mm256_movemask_ps(mask)));
  };
  for (; i + 32 <= count; i += 32) {
    std::uint64_t bits = hits(i) | hits(i + 8) << 8 | hits(i + 16) << 16 | hits(i + 24) << 24;
    for (; bits != 0; bits &= bits - 1) {
      const std::int64_t position = i + std::countr_zero(bits);
      keys[found++] = rank_key(scores[position], static_cast<std::uint32_t>(position));
    }
  }
#endif
  for (; i < count; ++i) {
    if (scores[i] >= threshold) keys[found++] = rank_key(scores[i], static_cast<std::uint32_t>(i));
  }
  return found;
}

float bound_of_kth(const float* scores, std::int64_t count, std::int64_t k, std::int64_t groups,
                   float* maxima) {
  const std::int64_t whole = count / groups * groups;
  std::int64_t lanes = 0;
  for (; lanes + 64 <= groups; lanes += 64) take_maxima<8>(scores, whole, groups, lanes, maxima);
  for (; lanes < groups; lanes += 8) take_maxima<1>(scores, whole, groups, lanes, maxima);
  for (std::int64_t i = whole; i < count; ++i) {
    maxima[i - whole] = scores[i] > maxima[i - whole] ? scores[i] : maxima[i - whole];
  }
  return kth_largest(maxima, groups, k);
}

}  // namespace slotwise::kernels::cpu
