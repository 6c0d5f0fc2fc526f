// Attention backward on the CPU. The probabilities are recomputed from log_sum_exp, tile by tile:
//   P = exp(scale q k^T - lse),  dV += P^T dO,  dS = scale * P * (dO v^T - rowsum(dO * O)),
//   dQ += dS k,  dK += dS^T q.
// A tile of keys is packed once and meets every block of queries of its group; one thread owns a
// (batch, group), so sums have one order. Memory does not grow with the number of tokens.
#include "kernels/attention.h"

#include <utility>

#include "core/parallel.h"
#include "kernels/cpu/attention_tiles.h"
#include "kernels/math.h"

namespace slotwise::kernels::cpu {
namespace {

struct BackwardScratch {
  float *key_columns, *value_columns;  // [D, tile] of k times scale, and of v
  float *keys, *dk, *dv;               // [tile, wide]
  float *q, *dout, *dq;                // [block, wide]
  float probabilities[kQueryBlock * kKeyTile];
  float gradients[kQueryBlock * kKeyTile];
  float delta[kQueryBlock];

  static std::int64_t floats(const AttentionProblem& p) {
    return 2 * p.size * kKeyTile + (3 * kKeyTile + 3 * kQueryBlock) * p.wide;
  }
  BackwardScratch(const AttentionProblem& p, float* memory) {
    const auto take = [&memory](std::int64_t count) {
      return std::exchange(memory, memory + count);
    };
    key_columns = take(p.size * kKeyTile);
    value_columns = take(p.size * kKeyTile);
    for (float** tile : {&keys, &dk, &dv}) *tile = take(kKeyTile * p.wide);
    for (float** block : {&q, &dout, &dq}) *block = take(kQueryBlock * p.wide);
  }
};

struct Pointers {
  float *dq, *dk, *dv;
  const float *dout, *out, *log_sum_exp, *q, *k, *v;
  explicit Pointers(const AttentionBackward& args)
      : dq(args.dq.data<float>()),
        dk(args.dk.data<float>()),
        dv(args.dv.data<float>()),
        dout(args.dout.data<float>()),
        out(args.out.data<float>()),
        log_sum_exp(args.log_sum_exp.data<float>()),
        q(args.q.data<float>()),
        k(args.k.data<float>()),
        v(args.v.data<float>()) {}
};

// A block of queries of one head against a tile of keys.
struct Step {
  std::int64_t b, head;
  std::int64_t first, queries;  // the block
  std::int64_t begin, keys;     // the tile
};

void pack_queries(const AttentionProblem& p, const Pointers& at, const Step& step,
                  BackwardScratch& scratch) {
  const std::int64_t place = p.query_at(step.b, step.first, step.head);
  pack_rows(scratch.q, p.wide, at.q + place, p.query_stride, step.queries, p.size);
  pack_rows(scratch.dout, p.wide, at.dout + place, p.query_stride, step.queries, p.size);
  for (std::int64_t i = 0; i < step.queries; ++i) {
    const float* dout = scratch.dout + i * p.wide;
    const float* out = at.out + place + i * p.query_stride;
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t d = 0; d < p.size; ++d) sum += dout[d] * out[d];
    scratch.delta[i] = sum;
  }
}

// scratch.probabilities: scores -> P;  scratch.gradients: dP -> dS.
void differentiate_softmax(const AttentionProblem& p, const Pointers& at, const Step& step,
                           BackwardScratch& scratch) {
  const std::int64_t width = padded(step.keys);
  const float* log_sum_exp =
      at.log_sum_exp + (p.first_query(step.b) + step.first) * p.heads + step.head;
  for (std::int64_t i = 0; i < step.queries; ++i) {
    float* probability = scratch.probabilities + i * kKeyTile;
    float* gradient = scratch.gradients + i * kKeyTile;
    const std::int64_t limit = p.limit(step.b, step.first + i) - step.begin;
    const std::int64_t seen = std::clamp<std::int64_t>(limit, 0, step.keys);
    const float shift = log_sum_exp[i * p.heads];
    const float delta = scratch.delta[i];
    const float scale = p.scale;
    for (std::int64_t first = 0; first < width; first += kLanes) {
#pragma omp simd
      for (std::int64_t j = first; j < first + kLanes; ++j) {
        probability[j] = fast_exp(probability[j] - shift);
        gradient[j] = scale * probability[j] * (gradient[j] - delta);
      }
    }
    std::fill(probability + seen, probability + width, 0.0f);
    std::fill(gradient + seen, gradient + width, 0.0f);
  }
}

// scores[queries, tile] = rows[queries, D] * columns[D, tile].
void multiply_columns(const AttentionProblem& p, const Step& step, float* scores, const float* rows,
                      const float* columns) {
  const std::int64_t width = padded(step.keys);
  multiply({.c = scores,
            .c_row = kKeyTile,
            .a = rows,
            .a_row = p.wide,
            .a_depth = 1,
            .b = columns,
            .b_row = width,
            .rows = step.queries,
            .columns = width,
            .depth = p.size});
}

// sums[tile, wide] += scores[queries, tile]^T * rows[queries, wide].
void add_transposed(const AttentionProblem& p, const Step& step, float* sums, const float* scores,
                    const float* rows) {
  multiply({.c = sums,
            .c_row = p.wide,
            .a = scores,
            .a_row = 1,
            .a_depth = kKeyTile,
            .b = rows,
            .b_row = p.wide,
            .rows = step.keys,
            .columns = p.wide,
            .depth = step.queries,
            .accumulate = true});
}

void add_query_gradients(const AttentionProblem& p, const Pointers& at, const Step& step,
                         BackwardScratch& scratch) {
  multiply({.c = scratch.dq,
            .c_row = p.wide,
            .a = scratch.gradients,
            .a_row = kKeyTile,
            .a_depth = 1,
            .b = scratch.keys,
            .b_row = p.wide,
            .rows = step.queries,
            .columns = p.wide,
            .depth = step.keys});
  float* dq = at.dq + p.query_at(step.b, step.first, step.head);
  for (std::int64_t i = 0; i < step.queries; ++i, dq += p.query_stride) {
    const float* from = scratch.dq + i * p.wide;
    if (step.begin == 0) {
      copy_row(dq, from, p.size);
      continue;
    }
#pragma omp simd
    for (std::int64_t d = 0; d < p.size; ++d) dq[d] += from[d];
  }
}

void clear_query_gradients(const AttentionProblem& p, const Pointers& at, const Step& step) {
  float* dq = at.dq + p.query_at(step.b, step.first, step.head);
  for (std::int64_t i = 0; i < step.queries; ++i, dq += p.query_stride) {
    std::fill(dq, dq + p.size, 0.0f);
  }
}

void take_step(const AttentionProblem& p, const Pointers& at, const Step& step,
               BackwardScratch& scratch) {
  if (p.limit(step.b, step.first + step.queries - 1) <= step.begin) {
    if (step.begin == 0) clear_query_gradients(p, at, step);
    return;
  }
  pack_queries(p, at, step, scratch);
  multiply_columns(p, step, scratch.probabilities, scratch.q, scratch.key_columns);
  multiply_columns(p, step, scratch.gradients, scratch.dout, scratch.value_columns);
  differentiate_softmax(p, at, step, scratch);
  add_transposed(p, step, scratch.dv, scratch.probabilities, scratch.dout);
  add_transposed(p, step, scratch.dk, scratch.gradients, scratch.q);
  add_query_gradients(p, at, step, scratch);
}

void differentiate_group(const AttentionProblem& p, const Pointers& at, std::int64_t b,
                         std::int64_t group, BackwardScratch& scratch) {
  Step step{};
  step.b = b;
  const std::int64_t queries = p.queries_of(b), keys = p.keys_of(b);
  // Keys that no query sees are not read: they may be padding that holds anything, and 0 times NaN
  // is NaN.
  const std::int64_t visible = p.limit(b, queries - 1);
  // Without keys there is still one (empty) tile, which sets dq to 0.
  for (step.begin = 0; step.begin == 0 || step.begin < visible; step.begin += kKeyTile) {
    step.keys = std::min(kKeyTile, visible - step.begin);
    const std::int64_t place = p.key_at(b, step.begin, group);
    pack_rows(scratch.keys, p.wide, at.k + place, p.key_stride, step.keys, p.size);
    pack_transposed(scratch.key_columns, at.k + place, p.key_stride, step.keys, p.size, p.scale);
    pack_transposed(scratch.value_columns, at.v + place, p.key_stride, step.keys, p.size, 1.0f);
    std::fill(scratch.dk, scratch.dk + step.keys * p.wide, 0.0f);
    std::fill(scratch.dv, scratch.dv + step.keys * p.wide, 0.0f);
    for (std::int64_t i = 0; i < p.heads_per_group(); ++i) {
      step.head = group * p.heads_per_group() + i;
      for (step.first = 0; step.first < queries; step.first += kQueryBlock) {
        step.queries = std::min(kQueryBlock, queries - step.first);
        take_step(p, at, step, scratch);
      }
    }
    unpack_rows(at.dk + place, p.key_stride, scratch.dk, p.wide, step.keys, p.size);
    unpack_rows(at.dv + place, p.key_stride, scratch.dv, p.wide, step.keys, p.size);
  }
  for (std::int64_t key = visible; key < keys; ++key) {
    const std::int64_t place = p.key_at(b, key, group);
    std::fill_n(at.dk + place, p.size, 0.0f);
    std::fill_n(at.dv + place, p.size, 0.0f);
  }
}

}  // namespace

void attention_backward(const AttentionBackward& args) {
  const AttentionProblem p(args);
  const Pointers at(args);
  const std::int64_t floats = BackwardScratch::floats(p);
  const Tensor memory =
      Tensor::empty({thread_count(), floats}, DType::f32, args.q.device(), "attention scratch");
  float* blocks = memory.data<float>();
  parallel_for(p.batch * p.groups, p.grain(), [&](std::int64_t begin, std::int64_t end, int part) {
    BackwardScratch scratch(p, blocks + part * floats);
    for (std::int64_t item = begin; item < end; ++item) {
      differentiate_group(p, at, item / p.groups, item % p.groups, scratch);
    }
  });
}

}  // namespace slotwise::kernels::cpu
