// Attention backward, blocked body, fp32, without atomics. delta = rowsum(dO * O) comes first; then
// one kernel whose blocks own keys sums dK and dV over all queries of all heads of the group, and
// one whose blocks own queries sums dQ over the keys. Both are the same walk with the roles
// exchanged:
//   P = exp(scale a1 b1^T - lse),  dS = scale * P * (a2 b2^T - delta),
//   sums1 += dS b1,  sums2 += P b2,
// with a = (k, v), b = (q, dO) for keys, and a = (q, dO), b = (k, v) for queries, where sums2 is
// not wanted. Each computes P again: cheaper than to store it, and the sums have one order.
#include "kernels/cuda/attention_bodies.h"
#include "kernels/cuda/attention_tiles.cuh"
#include "kernels/math.h"

namespace slotwise::kernels::cuda {
namespace {

struct BackwardPointers {
  float *dq, *dk, *dv;
  const float *dout, *log_sum_exp, *delta, *q, *k, *v;
};

// One warp a (token, head).
__global__ void __launch_bounds__(kBlock)
    sum_output_gradients(float* __restrict__ delta, const float* __restrict__ dout,
                         const float* __restrict__ out, std::int64_t rows, std::int64_t D) {
  const std::int64_t lane = threadIdx.x % 32;
  for (std::int64_t row = global_thread() / 32; row < rows; row += global_threads() / 32) {
    float sum = 0.0f;
    for (std::int64_t d = lane; d < D; d += 32) sum += dout[row * D + d] * out[row * D + d];
    sum = warp_sum(sum);
    if (lane == 0) delta[row] = sum;
  }
}

template <int kD, int kOwn, int kStream, bool kOwnsKeys>
struct Walk {
  static constexpr int kM = kOwn / kSide, kN = kStream / kSide;
  static constexpr int kQueries = kOwnsKeys ? kStream : kOwn;
  static constexpr int kScores = kOwn * (kStream + 4);
  static constexpr std::size_t kBytes =
      sizeof(float) *
      (2 * (kOwn + kStream) * (kD + 4) + (kOwnsKeys ? 2 : 1) * kScores + 3 * kQueries);

  const AttentionProblem& p;
  const BackwardPointers& at;
  float *own1, *own2, *stream1, *stream2, *gradients, *probabilities;
  float *log_sum_exp, *delta;  // of the queries of this step
  int* limits;
  int tx, ty;
  float sums1[kM][kD / kSide] = {}, sums2[kM][kD / kSide] = {};

  __device__ Walk(const AttentionProblem& problem, const BackwardPointers& pointers, float* shared)
      : p(problem), at(pointers) {
    own1 = shared;
    own2 = own1 + kOwn * (kD + 4);
    stream1 = own2 + kOwn * (kD + 4);
    stream2 = stream1 + kStream * (kD + 4);
    gradients = stream2 + kStream * (kD + 4);
    probabilities = gradients + (kOwnsKeys ? kScores : 0);
    log_sum_exp = probabilities + kScores;
    delta = log_sum_exp + kQueries;
    limits = reinterpret_cast<int*>(delta + kQueries);
    tx = static_cast<int>(threadIdx.x) % kSide;
    ty = static_cast<int>(threadIdx.x) / kSide;
  }

  __device__ void load_keys(float* keys, float* values, std::int64_t b, std::int64_t group,
                            std::int64_t first, std::int64_t count) {
    constexpr int kKeys = kOwnsKeys ? kOwn : kStream;
    const std::int64_t place = p.key_at(b, first, group);
    load_tile<kD, kKeys>(keys, at.k + place, p.key_stride, count, p);
    load_tile<kD, kKeys>(values, at.v + place, p.key_stride, count, p);
  }

  __device__ void load_queries(float* queries, float* douts, std::int64_t b, std::int64_t head,
                               std::int64_t first, std::int64_t count) {
    const std::int64_t place = p.query_at(b, first, head);
    load_tile<kD, kQueries>(queries, at.q + place, p.query_stride, count, p);
    load_tile<kD, kQueries>(douts, at.dout + place, p.query_stride, count, p);
    for (int i = static_cast<int>(threadIdx.x); i < kQueries; i += kSide * kSide) {
      const bool there = i < count;
      const std::int64_t row = (p.first_query(b) + first + i) * p.heads + head;
      log_sum_exp[i] = there ? at.log_sum_exp[row] : 0.0f;
      delta[i] = there ? at.delta[row] : 0.0f;
      limits[i] = there ? static_cast<int>(p.limit(b, first + i)) : 0;
    }
  }

  // Between two __syncthreads: all tiles are there, none is changed.
  __device__ void step(std::int64_t first_key) {
    float scores[kM][kN], products[kM][kN];
    multiply_rows<kD>(scores, own1, stream1, ty, tx);
    multiply_rows<kD>(products, own2, stream2, ty, tx);
#pragma unroll
    for (int i = 0; i < kM; ++i) {
#pragma unroll
      for (int j = 0; j < kN; ++j) {
        const int row = ty * kM + i, column = tx + kSide * j;
        const int query = kOwnsKeys ? column : row, key = kOwnsKeys ? row : column;
        const bool seen = first_key + key < limits[query];
        const float probability =
            seen ? fast_exp(p.scale * scores[i][j] - log_sum_exp[query]) : 0.0f;
        const int place = row * (kStream + 4) + column;
        gradients[place] = seen ? p.scale * probability * (products[i][j] - delta[query]) : 0.0f;
        if constexpr (kOwnsKeys) probabilities[place] = probability;
      }
    }
    __syncthreads();
    add_weighted_rows<kD, kM, kStream>(sums1, gradients, stream1, ty, tx);
    if constexpr (kOwnsKeys) {
      add_weighted_rows<kD, kM, kStream>(sums2, probabilities, stream2, ty, tx);
    }
  }

  __device__ void store(float* rows, std::int64_t stride, std::int64_t count,
                        const float (&sums)[kM][kD / kSide]) {
#pragma unroll
    for (int i = 0; i < kM; ++i) {
      if (ty * kM + i >= count) continue;
#pragma unroll
      for (int q = 0; q < kD / 64; ++q) {
        store_four(rows + (ty * kM + i) * stride, tx * 4 + 64 * q, &sums[i][4 * q], p);
      }
    }
  }
};

template <int kD, int kKeys, int kQueries>
__global__ void __launch_bounds__(kSide* kSide, 2)
    differentiate_keys(AttentionProblem p, BackwardPointers at) {
  extern __shared__ __align__(16) float shared[];
  Walk<kD, kKeys, kQueries, true> walk(p, at, shared);
  const std::int64_t pairs = p.batch * p.groups;
  const std::int64_t pair = blockIdx.x % pairs, b = pair / p.groups, group = pair % p.groups;
  const std::int64_t first_key = blockIdx.x / pairs * kKeys;
  const std::int64_t count = min(static_cast<std::int64_t>(kKeys), p.keys_of(b) - first_key);
  if (count <= 0) return;
  const std::int64_t queries = p.queries_of(b), heads_per_group = p.heads / p.groups;
  const std::int64_t visible = queries == 0 ? 0 : p.limit(b, queries - 1) - first_key;
  if (visible > 0) {
    walk.load_keys(walk.own1, walk.own2, b, group, first_key, min(count, visible));
    // The first query that sees a key of this tile, down to a whole tile.
    const std::int64_t sees = p.causal ? max(std::int64_t{0}, first_key - p.start_of(b)) : 0;
    for (std::int64_t i = 0; i < heads_per_group; ++i) {
      for (std::int64_t t = sees / kQueries * kQueries; t < queries; t += kQueries) {
        __syncthreads();
        walk.load_queries(walk.stream1, walk.stream2, b, group * heads_per_group + i, t,
                          queries - t);
        __syncthreads();
        walk.step(first_key);
      }
    }
  }
  const std::int64_t place = p.key_at(b, first_key, group);
  walk.store(at.dk + place, p.key_stride, count, walk.sums1);
  walk.store(at.dv + place, p.key_stride, count, walk.sums2);
}

template <int kD, int kQueries, int kKeys>
__global__ void __launch_bounds__(kSide* kSide, 2)
    differentiate_queries(AttentionProblem p, BackwardPointers at) {
  extern __shared__ __align__(16) float shared[];
  Walk<kD, kQueries, kKeys, false> walk(p, at, shared);
  const std::int64_t pairs = p.batch * p.heads, tiles = (p.queries + kQueries - 1) / kQueries;
  const std::int64_t pair = blockIdx.x % pairs, b = pair / p.heads, head = pair % p.heads;
  const std::int64_t first = (tiles - 1 - blockIdx.x / pairs) * kQueries;
  const std::int64_t count = min(static_cast<std::int64_t>(kQueries), p.queries_of(b) - first);
  if (count <= 0) return;
  walk.load_queries(walk.own1, walk.own2, b, head, first, count);
  const std::int64_t end = p.limit(b, first + count - 1);
  for (std::int64_t begin = 0; begin < end; begin += kKeys) {
    __syncthreads();
    walk.load_keys(walk.stream1, walk.stream2, b, head / (p.heads / p.groups), begin, end - begin);
    __syncthreads();
    walk.step(begin);
  }
  walk.store(at.dq + p.query_at(b, first, head), p.query_stride, count, walk.sums1);
}

template <int kD, int kOwn, int kStream>
void launch_backward(const AttentionProblem& p, const BackwardPointers& at, cudaStream_t queue) {
  const char* op = "attention_backward";
  if (p.keys > 0) {
    constexpr std::size_t kBytes = Walk<kD, kOwn, kStream, true>::kBytes;
    const auto kernel = differentiate_keys<kD, kOwn, kStream>;
    allow_shared_memory(op, kernel, kBytes);
    const unsigned blocks = attention_grid(op, (p.keys + kOwn - 1) / kOwn, p.batch * p.groups);
    kernel<<<blocks, kSide * kSide, kBytes, queue>>>(p, at);
    SLOTWISE_CUDA_LAUNCHED(op);
  }
  if (p.queries > 0) {
    constexpr std::size_t kBytes = Walk<kD, kOwn, kStream, false>::kBytes;
    const auto kernel = differentiate_queries<kD, kOwn, kStream>;
    allow_shared_memory(op, kernel, kBytes);
    const unsigned blocks = attention_grid(op, (p.queries + kOwn - 1) / kOwn, p.batch * p.heads);
    kernel<<<blocks, kSide * kSide, kBytes, queue>>>(p, at);
    SLOTWISE_CUDA_LAUNCHED(op);
  }
}

}  // namespace

// Tiles are as large as the 99 KB that every architecture from 80 on lends to a block allow.
void blocked::backward(const AttentionBackward& args) {
  AttentionProblem p(args);
  if (p.batch == 0 || p.heads == 0 || p.size == 0) return;
  p.wide = p.wide && aligned_to_16(args.dq.raw(), args.dk.raw(), args.dv.raw(), args.dout.raw());
  const cudaStream_t queue = stream(args.q);
  const Tensor delta =
      Tensor::empty(args.log_sum_exp.shape(), DType::f32, args.q.device(), "attention delta");
  const std::int64_t rows = delta.elements();
  if (rows > 0) {
    sum_output_gradients<<<grid_for(rows, kBlock / 32), kBlock, 0, queue>>>(
        delta.data<float>(), args.dout.data<float>(), args.out.data<float>(), rows, p.size);
    SLOTWISE_CUDA_LAUNCHED("attention_backward");
  }
  const BackwardPointers at{.dq = args.dq.data<float>(),
                            .dk = args.dk.data<float>(),
                            .dv = args.dv.data<float>(),
                            .dout = args.dout.data<float>(),
                            .log_sum_exp = args.log_sum_exp.data<float>(),
                            .delta = delta.data<float>(),
                            .q = args.q.data<float>(),
                            .k = args.k.data<float>(),
                            .v = args.v.data<float>()};
  if (p.size <= 64) {
    launch_backward<64, 64, 32>(p, at, queue);
  } else if (p.size <= 128) {
    launch_backward<128, 32, 32>(p, at, queue);
  } else {
    launch_backward<256, 16, 16>(p, at, queue);
  }
}

}  // namespace slotwise::kernels::cuda
