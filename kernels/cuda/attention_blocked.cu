// Attention forward, blocked body, fp32: a block owns a tile of queries of one head and walks the
// keys that its last query sees, with a running maximum and sum (online softmax). 16 lanes share a
// row of scores. Keys and values of a step use one buffer in turn. Tiles of late queries, which see
// the most keys, start first.
#include "kernels/cuda/attention_bodies.h"
#include "kernels/cuda/attention_tiles.cuh"
#include "kernels/math.h"

namespace slotwise::kernels::cuda {
namespace {

struct ForwardPointers {
  float *out, *log_sum_exp;
  const float *q, *k, *v;
};

__device__ inline float largest_of_row(float value) {
  for (int offset = kSide / 2; offset > 0; offset /= 2) {
    value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, offset));
  }
  return value;
}

__device__ inline float sum_of_row(float value) {
  for (int offset = kSide / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(0xffffffffu, value, offset);
  }
  return value;
}

// Scores of one row become exp(score - running maximum), 0 for keys at or past `seen`. Returns the
// factor by which what was summed before shrinks.
template <int kN>
__device__ inline float softmax_step(float (&scores)[kN], int seen, int tx, float scale,
                                     float& most, float& total) {
  float high = -INFINITY;
#pragma unroll
  for (int j = 0; j < kN; ++j) {
    scores[j] *= scale;
    if (tx + kSide * j < seen) high = fmaxf(high, scores[j]);
  }
  const float next = fmaxf(most, largest_of_row(high));
  const float shift = next == -INFINITY ? 0.0f : next;  // nothing seen yet: no inf - inf
  float sum = 0.0f;
#pragma unroll
  for (int j = 0; j < kN; ++j) {
    scores[j] = tx + kSide * j < seen ? fast_exp(scores[j] - shift) : 0.0f;
    sum += scores[j];
  }
  const float shrink = fast_exp(most - shift);
  most = next;
  total = total * shrink + sum_of_row(sum);
  return shrink;
}

template <int kD, int kQueries, int kKeys>
constexpr std::size_t kForwardBytes = sizeof(float) *
                                      ((kQueries + kKeys) * (kD + 4) + kQueries * (kKeys + 4));

template <int kD, int kQueries, int kKeys>
__global__ void __launch_bounds__(kSide* kSide) attend(AttentionProblem p, ForwardPointers at) {
  constexpr int kM = kQueries / kSide, kN = kKeys / kSide;
  extern __shared__ __align__(16) float shared[];
  float* queries = shared;
  float* tile = queries + kQueries * (kD + 4);  // keys, then values
  float* weights = tile + kKeys * (kD + 4);
  const int tx = static_cast<int>(threadIdx.x) % kSide, ty = static_cast<int>(threadIdx.x) / kSide;
  const std::int64_t pairs = p.batch * p.heads, tiles = (p.queries + kQueries - 1) / kQueries;
  const std::int64_t pair = blockIdx.x % pairs, b = pair / p.heads, head = pair % p.heads;
  const std::int64_t group = head / (p.heads / p.groups);
  const std::int64_t first = (tiles - 1 - blockIdx.x / pairs) * kQueries;
  const std::int64_t count = min(static_cast<std::int64_t>(kQueries), p.queries_of(b) - first);
  if (count <= 0) return;
  load_tile<kD, kQueries>(queries, at.q + p.query_at(b, first, head), p.query_stride, count, p);

  float sums[kM][kD / kSide] = {}, most[kM], total[kM] = {};
  int limits[kM];
#pragma unroll
  for (int i = 0; i < kM; ++i) {
    const int row = ty * kM + i;
    most[i] = -INFINITY;
    limits[i] = row < count ? static_cast<int>(p.limit(b, first + row)) : 0;
  }
  const std::int64_t end = p.limit(b, first + count - 1);
  for (std::int64_t begin = 0; begin < end; begin += kKeys) {
    __syncthreads();  // the values of the step before are no longer read
    load_tile<kD, kKeys>(tile, at.k + p.key_at(b, begin, group), p.key_stride, end - begin, p);
    __syncthreads();
    float scores[kM][kN];
    multiply_rows<kD, kD == 128 ? 1 : 2>(scores, queries, tile, ty, tx);  // else registers spill
    __syncthreads();                                                      // keys are no longer read
    load_tile<kD, kKeys>(tile, at.v + p.key_at(b, begin, group), p.key_stride, end - begin, p);
#pragma unroll
    for (int i = 0; i < kM; ++i) {
      const float shrink = softmax_step(scores[i], limits[i] - static_cast<int>(begin), tx, p.scale,
                                        most[i], total[i]);
#pragma unroll
      for (int d = 0; d < kD / kSide; ++d) sums[i][d] *= shrink;
#pragma unroll
      for (int j = 0; j < kN; ++j) {
        weights[(ty * kM + i) * (kKeys + 4) + tx + kSide * j] = scores[i][j];
      }
    }
    __syncthreads();
    add_weighted_rows<kD, kM, kKeys>(sums, weights, tile, ty, tx);
  }

#pragma unroll
  for (int i = 0; i < kM; ++i) {
    const int row = ty * kM + i;
    if (row >= count) continue;
    const bool nothing = total[i] == 0.0f;
    const float inverse = nothing ? 0.0f : 1.0f / total[i];
    float* out = at.out + p.query_at(b, first + row, head);
#pragma unroll
    for (int q = 0; q < kD / 64; ++q) {
      float four[4];
#pragma unroll
      for (int x = 0; x < 4; ++x) four[x] = sums[i][4 * q + x] * inverse;
      store_four(out, tx * 4 + 64 * q, four, p);
    }
    if (tx == 0) {
      at.log_sum_exp[(p.first_query(b) + first + row) * p.heads + head] =
          nothing ? -INFINITY : most[i] + logf(total[i]);
    }
  }
}

template <int kD, int kQueries, int kKeys>
void launch_forward(const AttentionProblem& p, const ForwardPointers& at, cudaStream_t queue) {
  const char* op = "attention_forward";
  constexpr std::size_t kBytes = kForwardBytes<kD, kQueries, kKeys>;
  const auto kernel = attend<kD, kQueries, kKeys>;
  allow_shared_memory(op, kernel, kBytes);
  const unsigned blocks =
      attention_grid(op, (p.queries + kQueries - 1) / kQueries, p.batch * p.heads);
  kernel<<<blocks, kSide * kSide, kBytes, queue>>>(p, at);
  SLOTWISE_CUDA_LAUNCHED(op);
}

}  // namespace

void blocked::forward(const AttentionForward& args) {
  const AttentionProblem p(args);
  if (p.batch == 0 || p.queries == 0 || p.heads == 0) return;
  const ForwardPointers at{args.out.data<float>(), args.log_sum_exp.data<float>(),
                           args.q.data<float>(), args.k.data<float>(), args.v.data<float>()};
  const cudaStream_t queue = stream(args.q);
  if (p.size <= 64) {
    launch_forward<64, 64, 64>(p, at, queue);
  } else if (p.size <= 128) {
    launch_forward<128, 64, 64>(p, at, queue);
  } else {
    launch_forward<256, 32, 32>(p, at, queue);
  }
}

}  // namespace slotwise::kernels::cuda
