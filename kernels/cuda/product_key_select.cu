// A warp turns every candidate into a 64-bit key that is larger the earlier the candidate comes,
// all keys distinct: a half score's order above its index counted down, and for pairs the sum's
// order above four bytes: the two ranks with ties counted once (so that equal half scores are
// equal), then the ranks. Candidates beyond what one warp sorts are first cut down: half scores by
// a bound, the k-th largest of 64 groups' maxima, which leaves few more than k; what the bound does
// not thin (long runs of equal scores, large k) by an exact search for the k-th largest key, bit by
// bit.
#include "kernels/cuda/product_key_select.cuh"

#include <cub/warp/warp_merge_sort.cuh>

#include "kernels/cuda/score_order.cuh"
#include "kernels/math.h"
#include "kernels/product_key.h"

namespace slotwise::kernels::cuda {
namespace {

using Key = std::uint64_t;

constexpr int kWarps = 4;
constexpr int kMostChosen = 256;  // ranks fit a byte
constexpr unsigned kAll = 0xffffffffu;

struct Larger {
  __device__ bool operator()(Key a, Key b) const { return a > b; }
};

__device__ inline int lane_of() {
  return static_cast<int>(threadIdx.x % 32);
}

__device__ inline float largest(float value) {
  for (int offset = 16; offset > 0; offset /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kAll, value, offset));
  }
  return value;
}

// As on the CPU: NaN and -inf weigh 0 unless there is nothing else; +inf share the weight.
template <class ScoreAt>
__device__ void warp_softmax(float* weights, std::int64_t count, ScoreAt&& score_at) {
  float most = -INFINITY;
  for (std::int64_t i = lane_of(); i < count; i += 32) most = fmaxf(most, score_at(i));
  most = largest(most);
  const bool endless = isinf(most), uniform = endless && most < 0.0f;
  const auto power_of = [&](float score) {
    if (endless) return uniform || score == most ? 1.0f : 0.0f;
    const float power = fast_exp(score - most);
    return power == power ? power : 0.0f;
  };
  float sum = 0.0f;
  for (std::int64_t i = lane_of(); i < count; i += 32) sum += power_of(score_at(i));
  const float scale = 1.0f / warp_sum(sum);
  for (std::int64_t i = lane_of(); i < count; i += 32) weights[i] = power_of(score_at(i)) * scale;
}

// The k-th largest of the 64 words that the lanes hold two of; equal ones count each.
__device__ inline std::uint32_t kth_of_64(std::uint32_t first, std::uint32_t second, int k) {
  std::uint32_t bound = 0;
  for (int bit = 31; bit >= 0; --bit) {
    const std::uint32_t trial = bound | 1u << bit;
    const int count =
        __popc(__ballot_sync(kAll, first >= trial)) + __popc(__ballot_sync(kAll, second >= trial));
    if (count >= k) bound = trial;
  }
  return bound;
}

// The k-th largest of the distinct keys key_at(0 .. count).
template <class KeyAt>
__device__ Key kth_key(std::int64_t count, int k, KeyAt&& key_at) {
  Key bound = 0;
  for (int bit = 63; bit >= 0; --bit) {
    const Key trial = bound | Key{1} << bit;
    int here = 0;
    for (std::int64_t i = lane_of(); i < count; i += 32) here += key_at(i) >= trial;
    if (warp_sum(here) >= k) bound = trial;
  }
  return bound;
}

// Writes the keys >= bound, the first `room` of them; returns how many there are.
template <class KeyAt>
__device__ int collect(Key* keys, int room, std::int64_t count, Key bound, KeyAt&& key_at) {
  int found = 0;
  for (std::int64_t begin = 0; begin < count; begin += 32) {
    const std::int64_t i = begin + lane_of();
    const Key key = i < count ? key_at(i) : 0;
    const bool taken = i < count && key >= bound;
    const unsigned takers = __ballot_sync(kAll, taken);
    const int place = found + __popc(takers & ((1u << lane_of()) - 1));
    if (taken && place < room) keys[place] = key;
    found += __popc(takers);
  }
  __syncwarp();
  return found;
}

// One half's list in descending order. tied[r]: the first rank with the same score.
struct HalfList {
  float scores[kMostChosen];
  std::int32_t indices[kMostChosen];
  std::uint8_t tied[kMostChosen];
};

// A warp sorts up to kRoom candidates.
template <int kItems>
struct Selector {
  static constexpr int kRoom = 32 * kItems;
  using Sort = cub::WarpMergeSort<Key, kItems, 32>;

  struct Shared {
    union {
      Key keys[kRoom];
      typename Sort::TempStorage sort;
    };
    HalfList halves[2];
  };

  Shared& shared;
  const std::uint16_t* pairs;  // rank1 * 256 + rank2, by (rank1, rank2)
  int pair_count;
  std::int64_t n;
  int k;

  // keys[0 .. found) become the k largest of them in descending order.
  __device__ void sort_keys(int found) {
    Key mine[kItems];
#pragma unroll
    for (int i = 0; i < kItems; ++i) {
      const int place = lane_of() * kItems + i;
      mine[i] = place < found ? shared.keys[place] : 0;
    }
    __syncwarp();  // the sort's memory is that of the keys
    Sort(shared.sort).Sort(mine, Larger{});
    __syncwarp();
#pragma unroll
    for (int i = 0; i < kItems; ++i) {
      const int place = lane_of() * kItems + i;
      if (place < k) shared.keys[place] = mine[i];
    }
    __syncwarp();
  }

  template <class KeyAt>
  __device__ void take_largest(std::int64_t count, Key bound, KeyAt&& key_at) {
    int found = count <= kRoom || bound != 0 ? collect(shared.keys, kRoom, count, bound, key_at)
                                             : kRoom + 1;
    if (found > kRoom) {
      __syncwarp();
      found = collect(shared.keys, kRoom, count, kth_key(count, k, key_at), key_at);
    }
    sort_keys(found);
  }

  // 0 where groups cannot bound: fewer of them than k, or hardly more scores than groups.
  __device__ Key bound_of_half(const float* scores) const {
    if (k > 64 || n < 128) return 0;
    std::uint32_t most[2] = {0, 0};
    for (std::int64_t i = lane_of(); i < n; i += 64) {
      most[0] = max(most[0], score_order(scores[i]));
      if (i + 32 < n) most[1] = max(most[1], score_order(scores[i + 32]));
    }
    return static_cast<Key>(kth_of_64(most[0], most[1], k)) << 32;
  }

  __device__ void sort_half(const float* scores, HalfList& list) {
    take_largest(n, bound_of_half(scores), [scores](std::int64_t i) {
      return static_cast<Key>(score_order(scores[i])) << 32 |
             (0xffffffffu - static_cast<std::uint32_t>(i));
    });
    for (int rank = lane_of(); rank < k; rank += 32) {
      const Key key = shared.keys[rank];
      const auto index = static_cast<std::int32_t>(0xffffffffu - static_cast<std::uint32_t>(key));
      int first = rank;
      while (first > 0 && shared.keys[first - 1] >> 32 == key >> 32) --first;
      list.indices[rank] = index;
      list.scores[rank] = scores[index];
      list.tied[rank] = static_cast<std::uint8_t>(first);
    }
    __syncwarp();
  }

  __device__ float sum_of(int rank1, int rank2) const {
    const float first = shared.halves[0].scores[rank1], second = shared.halves[1].scores[rank2];
    const bool padding = first == -INFINITY || second == -INFINITY;
    return padding && !isnan(first) && !isnan(second) ? -INFINITY : first + second;
  }

  __device__ Key pair_key(int pair) const {
    const int rank1 = pairs[pair] >> 8, rank2 = pairs[pair] & 255;
    const std::uint32_t later = static_cast<std::uint32_t>(shared.halves[0].tied[rank1]) << 24 |
                                static_cast<std::uint32_t>(shared.halves[1].tied[rank2]) << 16 |
                                static_cast<std::uint32_t>(rank1) << 8 |
                                static_cast<std::uint32_t>(rank2);
    return static_cast<Key>(score_order(sum_of(rank1, rank2))) << 32 | (0xffffffffu - later);
  }

  __device__ void select(const float* scores, std::int32_t* slots, float* out, bool softmax) {
    sort_half(scores, shared.halves[0]);
    sort_half(scores + n, shared.halves[1]);
    take_largest(pair_count, 0, [this](std::int64_t i) { return pair_key(static_cast<int>(i)); });
    const auto sum_at = [this](std::int64_t place) {
      const std::uint32_t later = 0xffffffffu - static_cast<std::uint32_t>(shared.keys[place]);
      return sum_of(later >> 8 & 255, later & 255);
    };
    for (int place = lane_of(); place < k; place += 32) {
      const std::uint32_t later = 0xffffffffu - static_cast<std::uint32_t>(shared.keys[place]);
      slots[place] = shared.halves[0].indices[later >> 8 & 255] * static_cast<std::int32_t>(n) +
                     shared.halves[1].indices[later & 255];
      if (!softmax) out[place] = sum_at(place);
    }
    if (softmax) warp_softmax(out, k, sum_at);
    __syncwarp();
  }
};

// Dynamic shared memory: one Shared a warp, then the pairs.
template <int kItems>
__global__ void __launch_bounds__(32 * kWarps) select_slots(SelectRows args, int pair_count) {
  using Shared = typename Selector<kItems>::Shared;
  extern __shared__ __align__(16) unsigned char memory[];
  const int warp = static_cast<int>(threadIdx.x / 32), k = static_cast<int>(args.k);
  auto* pairs = reinterpret_cast<std::uint16_t*>(memory + kWarps * sizeof(Shared));
  for (int rank1 = static_cast<int>(threadIdx.x); rank1 < k; rank1 += 32 * kWarps) {
    int place = 0;
    for (int before = 0; before < rank1; ++before) place += k / (before + 1);
    for (int rank2 = 0; rank2 < k / (rank1 + 1); ++rank2) {
      pairs[place + rank2] = static_cast<std::uint16_t>(rank1 << 8 | rank2);
    }
  }
  __syncthreads();
  Selector<kItems> selector{.shared = reinterpret_cast<Shared*>(memory)[warp],
                            .pairs = pairs,
                            .pair_count = pair_count,
                            .n = args.n,
                            .k = k};
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kWarps;
  for (std::int64_t row = static_cast<std::int64_t>(blockIdx.x) * kWarps + warp; row < args.rows;
       row += step) {
    selector.select(args.half_scores + row * 2 * args.n, args.slots + row * args.k,
                    args.out + row * args.k, args.softmax);
  }
}

__global__ void __launch_bounds__(kBlock)
    softmax_of_rows(float* y, const float* x, std::int64_t rows, std::int64_t count) {
  for (std::int64_t row = global_thread() / 32; row < rows; row += global_threads() / 32) {
    const float* from = x + row * count;
    warp_softmax(y + row * count, count, [from](std::int64_t i) { return from[i]; });
  }
}

template <int kItems>
void launch_select(const char* op, const SelectRows& args, cudaStream_t queue) {
  int pair_count = 0;
  for (int rank1 = 1; rank1 <= args.k; ++rank1) pair_count += static_cast<int>(args.k) / rank1;
  const std::size_t bytes = kWarps * sizeof(typename Selector<kItems>::Shared) +
                            static_cast<std::size_t>(pair_count) * sizeof(std::uint16_t);
  select_slots<kItems>
      <<<grid_for(args.rows, kWarps), 32 * kWarps, bytes, queue>>>(args, pair_count);
  SLOTWISE_CUDA_LAUNCHED(op);
}

}  // namespace

void select_rows(const char* op, const SelectRows& args, cudaStream_t queue) {
  if (args.rows == 0) return;
  SLOTWISE_CHECK(args.k <= kMostChosen, "[{}] expected k of at most {} on CUDA, got {}", op,
                 kMostChosen, args.k);
  if (args.k <= 32) {
    launch_select<4>(op, args, queue);  // room for the 119 pairs of k = 32
  } else {
    launch_select<9>(op, args, queue);  // and for the 280 of k = 64
  }
}

void product_key_select(const ProductKeySelect& args) {
  select_rows("product_key_select",
              {.slots = args.slots.data<std::int32_t>(),
               .out = args.scores.data<float>(),
               .half_scores = args.half_scores.data<float>(),
               .rows = args.half_scores.size(0),
               .n = args.half_scores.size(2),
               .k = args.slots.size(1),
               .softmax = false},
              stream(args.slots));
}

void softmax_rows(const SoftmaxRows& args) {
  const std::int64_t count = args.x.shape().last();
  if (args.x.elements() == 0) return;
  const std::int64_t rows = args.x.elements() / count;
  softmax_of_rows<<<grid_for(rows, kBlock / 32), kBlock, 0, stream(args.x)>>>(
      args.y.data<float>(), args.x.data<float>(), rows, count);
  SLOTWISE_CUDA_LAUNCHED("softmax_rows");
}

}  // namespace slotwise::kernels::cuda
