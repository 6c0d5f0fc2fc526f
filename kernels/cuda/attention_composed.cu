// Attention, composed body: for each head scores = scale q k^T by GEMM, softmax over what each
// query sees, out = weights v by GEMM; the backward forms the weights again and takes four GEMMs.
// The plain reference, and slow: a [Tq, Tk] matrix a head (packed rows count as one long row whose
// other rows are not seen). GEMMs and sums of a head follow one another, so the bits are fixed.
#include "kernels/attention_rows.h"
#include "kernels/cuda/attention_bodies.h"
#include "kernels/cuda/head_layout.h"
#include "kernels/cuda/launch.h"
#include "kernels/gemm.h"
#include "kernels/math.h"

namespace slotwise::kernels::cuda {
namespace {

constexpr int kWarps = kBlock / 32;  // a warp takes a query

struct Head {
  std::int64_t b, head;
  std::int64_t queries, keys;  // Tq, Tk of the tensors
};

__device__ inline float warp_most(float value) {
  for (int offset = 16; offset > 0; offset /= 2) {
    value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, offset));
  }
  return value;
}

// Rows of scores become weights, 0 where nothing is seen.
__global__ void __launch_bounds__(kBlock)
    softmax_scores(AttentionRows p, Head at, float* __restrict__ scores,
                   float* __restrict__ log_sum_exp) {
  const std::int64_t lane = threadIdx.x % 32;
  for (std::int64_t t = global_thread() / 32; t < at.queries; t += global_threads() / 32) {
    const KeyRange seen = p.visible(at.b, t);
    float* row = scores + t * at.keys;
    float most = -INFINITY, total = 0.0f;
    for (std::int64_t j = seen.begin + lane; j < seen.end; j += 32) most = fmaxf(most, row[j]);
    most = warp_most(most);
    const float shift = most == -INFINITY ? 0.0f : most;  // nothing seen: no inf - inf
    for (std::int64_t j = seen.begin + lane; j < seen.end; j += 32) {
      total += row[j] = fast_exp(row[j] - shift);
    }
    total = warp_sum(total);
    __syncwarp();  // below, a lane reads what others wrote
    const float inverse = total == 0.0f ? 0.0f : 1.0f / total;
    for (std::int64_t j = lane; j < at.keys; j += 32) {
      row[j] = j >= seen.begin && j < seen.end ? row[j] * inverse : 0.0f;
    }
    if (lane == 0) {
      log_sum_exp[(at.b * at.queries + t) * p.heads + at.head] =
          total == 0.0f ? -INFINITY : most + logf(total);
    }
  }
}

// From scores and products (dO V^T), weights in the place of scores, gradients of the scores before
// the scale in that of products.
__global__ void __launch_bounds__(kBlock)
    differentiate_scores(AttentionRows p, Head at, float* __restrict__ scores,
                         float* __restrict__ products, const float* __restrict__ log_sum_exp) {
  const std::int64_t lane = threadIdx.x % 32;
  for (std::int64_t t = global_thread() / 32; t < at.queries; t += global_threads() / 32) {
    const KeyRange seen = p.visible(at.b, t);
    const float log_total = log_sum_exp[(at.b * at.queries + t) * p.heads + at.head];
    float* weights = scores + t * at.keys;
    float* gradients = products + t * at.keys;
    float mean = 0.0f;
    for (std::int64_t j = lane; j < at.keys; j += 32) {
      const bool sees = j >= seen.begin && j < seen.end;
      const float weight = sees ? fast_exp(weights[j] - log_total) : 0.0f;
      weights[j] = weight;
      if (sees) mean += weight * gradients[j];
    }
    mean = warp_sum(mean);
    for (std::int64_t j = lane; j < at.keys; j += 32) {
      const bool sees = j >= seen.begin && j < seen.end;
      gradients[j] = sees ? p.scale * weights[j] * (gradients[j] - mean) : 0.0f;
    }
  }
}

// Keys and values that no query sees may be anything, NaN included, and 0 * NaN is NaN.
__global__ void __launch_bounds__(kBlock) clear_unseen(AttentionRows p, float* __restrict__ k,
                                                       float* __restrict__ v, std::int64_t items) {
  for (std::int64_t i = global_thread(); i < items; i += global_threads()) {
    const std::int64_t key = i / p.size % p.keys, b = i / p.size / p.keys / p.groups;
    if (key >= p.limit(b, p.queries - 1)) k[i] = v[i] = 0.0f;
  }
}

unsigned warps_for(std::int64_t rows) {
  return grid_for(rows, kWarps);
}

// What both directions begin with: q, k, v head by head.
struct Heads {
  AttentionRows p;
  std::int64_t batch, queries, keys;  // of the tensors
  Tensor q, k, v;

  template <class Args>
  explicit Heads(const Args& args)
      : p(args),
        batch(args.q.size(0)),
        queries(args.q.size(1)),
        keys(args.k.size(1)),
        q(split_heads(args.q, "attention heads")),
        k(split_heads(args.k, "attention heads")),
        v(split_heads(args.v, "attention heads")) {
    if (args.offsets.defined() || k.elements() == 0 || queries == 0) return;
    clear_unseen<<<grid_for(k.elements()), kBlock, 0, stream(k)>>>(p, k.data<float>(),
                                                                   v.data<float>(), k.elements());
    SLOTWISE_CUDA_LAUNCHED("attention");
  }

  bool empty() const { return batch == 0 || queries == 0 || p.heads == 0; }
  Tensor scores() const {
    return Tensor::empty({queries, keys}, DType::f32, q.device(), "attention scores");
  }
  Head head(std::int64_t i) const { return {i / p.heads, i % p.heads, queries, keys}; }
  // Of head i of q, the one of k and v that it reads.
  std::int64_t group(std::int64_t i) const {
    return i / p.heads * p.groups + i % p.heads / (p.heads / p.groups);
  }
  void score(const Tensor& scores, std::int64_t i) const;
};

Tensor matrix(const Tensor& heads, std::int64_t i) {
  return heads.slice(i, i + 1).view({heads.size(1), heads.size(2)});
}

void Heads::score(const Tensor& scores, std::int64_t i) const {
  gemm({.c = scores,
        .a = matrix(q, i),
        .b = matrix(k, group(i)),
        .transpose_b = true,
        .alpha = p.scale});
}

}  // namespace

void composed::forward(const AttentionForward& args) {
  const Heads heads(args);
  if (heads.empty()) return;
  const Tensor scores = heads.scores();
  const Tensor out =
      Tensor::empty(heads.q.shape(), DType::f32, heads.q.device(), "attention heads");
  for (std::int64_t i = 0; i < heads.q.size(0); ++i) {
    heads.score(scores, i);
    softmax_scores<<<warps_for(heads.queries), kBlock, 0, stream(scores)>>>(
        heads.p, heads.head(i), scores.data<float>(), args.log_sum_exp.data<float>());
    SLOTWISE_CUDA_LAUNCHED("attention_forward");
    gemm({.c = matrix(out, i), .a = scores, .b = matrix(heads.v, heads.group(i))});
  }
  merge_heads(args.out, out);
}

void composed::backward(const AttentionBackward& args) {
  const Heads heads(args);
  const Tensor dout = split_heads(args.dout, "attention heads");
  const auto gradients = [](const Tensor& like) {
    return Tensor::zeros(like.shape(), DType::f32, like.device(), "attention heads");
  };
  const Tensor dq = gradients(heads.q), dk = gradients(heads.k), dv = gradients(heads.v);
  const Tensor weights = heads.scores(), dscores = heads.scores();
  for (std::int64_t i = 0; !heads.empty() && i < heads.q.size(0); ++i) {
    const std::int64_t group = heads.group(i);
    heads.score(weights, i);
    gemm({.c = dscores, .a = matrix(dout, i), .b = matrix(heads.v, group), .transpose_b = true});
    differentiate_scores<<<warps_for(heads.queries), kBlock, 0, stream(weights)>>>(
        heads.p, heads.head(i), weights.data<float>(), dscores.data<float>(),
        args.log_sum_exp.data<float>());
    SLOTWISE_CUDA_LAUNCHED("attention_backward");
    gemm({.c = matrix(dq, i), .a = dscores, .b = matrix(heads.k, group)});
    gemm({.c = matrix(dk, group),
          .a = dscores,
          .b = matrix(heads.q, i),
          .transpose_a = true,
          .beta = 1.0f});
    gemm({.c = matrix(dv, group),
          .a = weights,
          .b = matrix(dout, i),
          .transpose_a = true,
          .beta = 1.0f});
  }
  merge_heads(args.dq, dq);
  merge_heads(args.dk, dk);
  merge_heads(args.dv, dv);
}

}  // namespace slotwise::kernels::cuda
