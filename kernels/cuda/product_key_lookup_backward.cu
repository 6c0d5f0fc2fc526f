// Only the chosen sub-keys take part. The k slots of a head share sub-keys, so score gradients are
// first added up by sub-key, in the order of the places; a warp does this for one query. dquery is
// a sum of the few distinct sub-keys' rows; dkeys goes through sorted segments, whose list keeps k
// places a query half, those without a sub-key being left out there.
#include "kernels/cuda/row_lanes.cuh"
#include "kernels/cuda/sorted_segments.cuh"
#include "kernels/product_key.h"

namespace slotwise::kernels::cuda {
namespace {

constexpr int kWarps = 4;
constexpr std::int64_t kMostChosen = 256;

struct LookupBackward {
  const std::int32_t* slots;
  const float *weights, *dweights, *keys;
  float* dquery;  // or null
  bool add_to_dquery;
  std::uint32_t* rows;  // of the terms of dkeys, or null
  float* gradients;     // of the terms
  std::int64_t queries, H, h, n;
  int k;
};

// One warp's part of the shared memory: 4 arrays of k words.
struct Places {
  float* gradients;           // of the scores, by place
  std::int32_t* sub_keys;     // of one half, by place
  std::int32_t* distinct;     // sub-keys in the order of first use
  float* distinct_gradients;  // and their sums

  __device__ Places(float* memory, int k)
      : gradients(memory),
        sub_keys(reinterpret_cast<std::int32_t*>(memory + k)),
        distinct(reinterpret_cast<std::int32_t*>(memory + 2 * k)),
        distinct_gradients(memory + 3 * k) {}
};

__device__ int gather_distinct(const Places& at, int k, int lane) {
  int found = 0;
  for (int begin = 0; begin < k; begin += 32) {
    const int place = begin + lane;
    bool first = place < k;
    const std::int32_t sub_key = first ? at.sub_keys[place] : -1;
    for (int i = 0; first && i < place; ++i) first = at.sub_keys[i] != sub_key;
    const unsigned firsts = __ballot_sync(0xffffffffu, first);
    if (first) {
      float sum = at.gradients[place];
      for (int i = place + 1; i < k; ++i) {
        if (at.sub_keys[i] == sub_key) sum += at.gradients[i];
      }
      const int to = found + __popc(firsts & ((1u << lane) - 1));
      at.distinct[to] = sub_key;
      at.distinct_gradients[to] = sum;
    }
    found += __popc(firsts);
  }
  __syncwarp();
  return found;
}

template <int kWidth>
__device__ void write_dquery(const LookupBackward& p, const Places& at, int count,
                             std::int64_t first_row, float* dquery, int lane) {
  for (std::int64_t d = lane * kWidth; d < p.h; d += 32 * kWidth) {
    float sum[kWidth] = {};
    if (p.add_to_dquery) load_lanes(dquery + d, sum);
#pragma unroll 4
    for (int i = 0; i < count; ++i) {
      float key[kWidth];
      load_lanes(p.keys + (first_row + at.distinct[i]) * p.h + d, key);
#pragma unroll
      for (int x = 0; x < kWidth; ++x) sum[x] += at.distinct_gradients[i] * key[x];
    }
    store_lanes(dquery + d, sum);
  }
}

template <int kWidth>
__global__ void __launch_bounds__(32 * kWarps) differentiate_lookup(LookupBackward p) {
  extern __shared__ float memory[];
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  const Places at(memory + warp * 4 * p.k, p.k);
  const auto left_out = static_cast<std::uint32_t>(2 * p.H * p.n);
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kWarps;
  for (std::int64_t query = static_cast<std::int64_t>(blockIdx.x) * kWarps + warp;
       query < p.queries; query += step) {
    const std::int64_t first = query * p.k;
    float mean = 0.0f;
    for (int j = lane; j < p.k; j += 32) mean += p.weights[first + j] * p.dweights[first + j];
    mean = warp_sum(mean);
    for (int j = lane; j < p.k; j += 32) {
      at.gradients[j] = p.weights[first + j] * (p.dweights[first + j] - mean);
    }
    for (int half = 0; half < 2; ++half) {
      const auto n = static_cast<std::int32_t>(p.n);
      for (int j = lane; j < p.k; j += 32) {
        const std::int32_t slot = p.slots[first + j];
        at.sub_keys[j] = half == 0 ? slot / n : slot % n;
      }
      __syncwarp();
      const int count = gather_distinct(at, p.k, lane);
      const std::int64_t query_half = query * 2 + half, first_row = (query % p.H * 2 + half) * p.n;
      if (p.dquery != nullptr) {
        write_dquery<kWidth>(p, at, count, first_row, p.dquery + query_half * p.h, lane);
      }
      for (int j = lane; p.rows != nullptr && j < p.k; j += 32) {
        const bool used = j < count;
        p.rows[query_half * p.k + j] =
            used ? static_cast<std::uint32_t>(first_row + at.distinct[j]) : left_out;
        p.gradients[query_half * p.k + j] = used ? at.distinct_gradients[j] : 0.0f;
      }
      __syncwarp();  // the next half, or query, overwrites the lists
    }
  }
}

}  // namespace

void product_key_lookup_backward(const ProductKeyLookupBackward& args) {
  const char* op = "product_key_lookup_backward";
  const std::int64_t queries = args.query.size(0) * args.query.size(1), k = args.slots.size(2);
  const std::int64_t h = args.query.size(3);
  SLOTWISE_CHECK(k <= kMostChosen, "[{}] expected k of at most {} on CUDA, got {}", op, kMostChosen,
                 k);
  const Device device = args.query.device();
  const std::int64_t terms = args.dkeys ? queries * 2 * k : 0;
  const Tensor rows = Tensor::empty({terms}, DType::i32, device, "lookup gradient terms");
  const Tensor gradients = Tensor::empty({terms}, DType::f32, device, "lookup gradient terms");
  const LookupBackward p{
      .slots = args.slots.data<std::int32_t>(),
      .weights = args.weights.data<float>(),
      .dweights = args.dweights.data<float>(),
      .keys = args.keys.data<float>(),
      .dquery = optional_data<float>(args.dquery.tensor),
      .add_to_dquery = args.dquery.accumulate,
      .rows = args.dkeys ? reinterpret_cast<std::uint32_t*>(rows.data<std::int32_t>()) : nullptr,
      .gradients = gradients.data<float>(),
      .queries = queries,
      .H = args.query.size(1),
      .h = h,
      .n = args.keys.size(2),
      .k = static_cast<int>(k)};
  if (queries > 0) {
    const unsigned grid = grid_for(queries, kWarps);
    const std::size_t bytes = static_cast<std::size_t>(kWarps * 4 * k) * sizeof(float);
    if (rows_are_wide<float>(h, p.keys, p.dquery)) {
      differentiate_lookup<kWide<float>><<<grid, 32 * kWarps, bytes, stream(device)>>>(p);
    } else {
      differentiate_lookup<1><<<grid, 32 * kWarps, bytes, stream(device)>>>(p);
    }
    SLOTWISE_CUDA_LAUNCHED(op);
  }
  if (!args.dkeys) return;
  const Tensor dkeys = args.dkeys.tensor.view({args.keys.elements() / h, h});
  sum_rows_by_segment(op,
                      {.rows = p.rows,
                       .count = terms,
                       .per_source = k,
                       .weights = p.gradients,
                       .sources = args.query.data<float>()},
                      {dkeys, args.dkeys.accumulate});
}

}  // namespace slotwise::kernels::cuda
