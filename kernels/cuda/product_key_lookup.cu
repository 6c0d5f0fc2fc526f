// Half scores of a chunk of tokens, then selection and softmax, chunk after chunk: what is chosen
// from was written just before and still lies in the L2 cache. The scores are fp32 sums in one
// order, whatever the chunk, so a slot's score does not depend on its neighbours.
#include "kernels/cuda/product_key_select.cuh"
#include "kernels/cuda/row_lanes.cuh"
#include "kernels/product_key.h"

namespace slotwise::kernels::cuda {
namespace {

constexpr std::int64_t kScoreBytes = 32 << 20;
constexpr int kTile = 128;  // tokens and sub-keys of a block: 8 x 8 for each of its 256 threads
constexpr int kDepth = 16;
constexpr int kTileRow = kTile + 4;

struct Scores {
  float* half_scores;  // [tokens, H, 2, n]
  const float* query;  // of the chunk's first token
  const float* keys;
  std::int64_t tokens, H, h, n;
  bool wide_rows, wide_scores;
};

// A tile of up to kTile rows and kDepth columns, 8 values a thread: row i / 4, columns 4 (i % 4).
struct Fragment {
  float4 at[2];

  __device__ void load(const float* from, std::int64_t stride, std::int64_t rows,
                       std::int64_t columns, bool wide) {
#pragma unroll
    for (int part = 0; part < 2; ++part) {
      const int i = static_cast<int>(threadIdx.x) + part * kBlock;
      const int row = i / 4, d = i % 4 * 4;
      float4 four = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
      if (row < rows && d < columns) {
        const float* place = from + row * stride + d;
        if (wide) {
          four = *reinterpret_cast<const float4*>(place);
        } else {
          four.x = place[0];
          if (d + 1 < columns) four.y = place[1];
          if (d + 2 < columns) four.z = place[2];
          if (d + 3 < columns) four.w = place[3];
        }
      }
      at[part] = four;
    }
  }

  // tile[column][row]: a thread then reads the rows of its products as whole vectors.
  __device__ void store(float (*tile)[kTileRow]) const {
#pragma unroll
    for (int part = 0; part < 2; ++part) {
      const int i = static_cast<int>(threadIdx.x) + part * kBlock;
      const int row = i / 4, d = i % 4 * 4;
      tile[d][row] = at[part].x;
      tile[d + 1][row] = at[part].y;
      tile[d + 2][row] = at[part].z;
      tile[d + 3][row] = at[part].w;
    }
  }
};

__device__ inline void load_eight(float (&to)[8], const float* row, int place) {
  float low[4], high[4];
  load_lanes(row + place * 4, low);
  load_lanes(row + kTile / 2 + place * 4, high);
#pragma unroll
  for (int x = 0; x < 4; ++x) {
    to[x] = low[x];
    to[4 + x] = high[x];
  }
}

// Grid: sub-key tiles, token tiles, (head, half).
__global__ void __launch_bounds__(kBlock) score_halves(Scores p) {
  __shared__ __align__(16) float query_tile[kDepth][kTileRow];
  __shared__ __align__(16) float key_tile[kDepth][kTileRow];
  const std::int64_t half = blockIdx.z, halves = 2 * p.H;
  const std::int64_t first_token = static_cast<std::int64_t>(blockIdx.y) * kTile;
  const std::int64_t first_key = static_cast<std::int64_t>(blockIdx.x) * kTile;
  const std::int64_t tokens = p.tokens - first_token, keys = p.n - first_key;
  const float* query = p.query + (first_token * halves + half) * p.h;
  const float* key = p.keys + (half * p.n + first_key) * p.h;
  const int tx = static_cast<int>(threadIdx.x) % 16, ty = static_cast<int>(threadIdx.x) / 16;
  Fragment next_query, next_key;
  next_query.load(query, halves * p.h, tokens, p.h, p.wide_rows);
  next_key.load(key, p.h, keys, p.h, p.wide_rows);
  float sums[8][8] = {};
  for (std::int64_t d = 0; d < p.h; d += kDepth) {
    __syncthreads();  // the tiles of the step before are no longer read
    next_query.store(query_tile);
    next_key.store(key_tile);
    __syncthreads();
    if (d + kDepth < p.h) {
      next_query.load(query + d + kDepth, halves * p.h, tokens, p.h - d - kDepth, p.wide_rows);
      next_key.load(key + d + kDepth, p.h, keys, p.h - d - kDepth, p.wide_rows);
    }
#pragma unroll
    for (int x = 0; x < kDepth; ++x) {
      float of_query[8], of_key[8];
      load_eight(of_query, query_tile[x], ty);
      load_eight(of_key, key_tile[x], tx);
#pragma unroll
      for (int i = 0; i < 8; ++i) {
#pragma unroll
        for (int j = 0; j < 8; ++j) sums[i][j] += of_query[i] * of_key[j];
      }
    }
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int row = i / 4 * (kTile / 2) + ty * 4 + i % 4;
    if (row >= tokens) continue;
    float* out = p.half_scores + ((first_token + row) * halves + half) * p.n + first_key;
#pragma unroll
    for (int j = 0; j < 8; j += 4) {
      const int column = j / 4 * (kTile / 2) + tx * 4;
      const float four[4] = {sums[i][j], sums[i][j + 1], sums[i][j + 2], sums[i][j + 3]};
      if (p.wide_scores && column < keys) {  // then keys is a multiple of 4
        store_lanes(out + column, four);
        continue;
      }
      for (int x = 0; x < 4; ++x) {
        if (column + x < keys) out[column + x] = four[x];
      }
    }
  }
}

std::int64_t tokens_a_chunk(std::int64_t M, std::int64_t H, std::int64_t n) {
  const std::int64_t token_bytes = 2 * H * n * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t tokens = std::clamp<std::int64_t>(kScoreBytes / token_bytes, kTile, 1 << 20);
  return std::min(tokens / kTile * kTile, M);
}

}  // namespace

void product_key_lookup(const ProductKeyLookup& args) {
  const char* op = "product_key_lookup";
  const std::int64_t M = args.query.size(0), H = args.query.size(1), h = args.query.size(3);
  const std::int64_t n = args.keys.size(2), k = args.slots.size(2);
  if (M == 0 || H == 0) return;
  const std::int64_t chunk = tokens_a_chunk(M, H, n);
  const Device device = args.query.device();
  const cudaStream_t queue = stream(device);
  const Tensor half_scores =
      Tensor::empty({chunk * H, 2, n}, DType::f32, device, "lookup half scores");
  for (std::int64_t first = 0; first < M; first += chunk) {
    const std::int64_t tokens = std::min(chunk, M - first);
    const float* query = args.query.data<float>() + first * H * 2 * h;
    const Scores scores{
        .half_scores = half_scores.data<float>(),
        .query = query,
        .keys = args.keys.data<float>(),
        .tokens = tokens,
        .H = H,
        .h = h,
        .n = n,
        .wide_rows = rows_are_wide<float>(h, args.query.data<float>(), args.keys.data<float>()),
        .wide_scores = rows_are_wide<float>(n, half_scores.data<float>())};
    const dim3 grid(static_cast<unsigned>((n + kTile - 1) / kTile),
                    static_cast<unsigned>((tokens + kTile - 1) / kTile),
                    static_cast<unsigned>(2 * H));
    score_halves<<<grid, kBlock, 0, queue>>>(scores);
    SLOTWISE_CUDA_LAUNCHED(op);
    select_rows(op,
                {.slots = args.slots.data<std::int32_t>() + first * H * k,
                 .out = args.weights.data<float>() + first * H * k,
                 .half_scores = half_scores.data<float>(),
                 .rows = tokens * H,
                 .n = n,
                 .k = k,
                 .softmax = true},
                queue);
  }
}

}  // namespace slotwise::kernels::cuda
