// Attention forward on the CPU. For each (batch, group) the visible keys are packed once,
// transposed and times `scale`, into tiles [D, kKeyTile] (scores vectorise over keys), the values
// into [kKeyTile, D]. Blocks of queries then walk the tiles with a running maximum and sum (online
// softmax).
#include "kernels/attention.h"

#include <cmath>
#include <limits>

#include "core/parallel.h"
#include "kernels/cpu/attention_tiles.h"
#include "kernels/math.h"

namespace slotwise::kernels::cpu {
namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();

// One thread's memory.
struct ForwardScratch {
  float* keys;  // tiles [D, width]
  const float* values;
  std::int64_t value_row;  // between the values of two keys
  float scores[kQueryBlock * kKeyTile];
  float most[kQueryBlock];
  float total[kQueryBlock];
};

float largest(const Lanes& x) {
  const float low = std::max(std::max(x[0], x[1]), std::max(x[2], x[3]));
  return std::max(low, std::max(std::max(x[4], x[5]), std::max(x[6], x[7])));
}

float sum_of(const Lanes& x) {
  return ((x[0] + x[4]) + (x[1] + x[5])) + ((x[2] + x[6]) + (x[3] + x[7]));
}

// Scores of a row become exp(score - running maximum), 0 for unseen keys. Returns the factor by
// which what was summed before shrinks. `width` is whole vectors: no loop has a remainder.
float softmax_row(float* scores, std::int64_t seen, std::int64_t width, float& most, float& total) {
  for (std::int64_t i = seen; i < width; ++i) scores[i] = kNothing;
  Lanes highest = load(scores);
  for (std::int64_t i = kLanes; i < width; i += kLanes) {
    const Lanes next = load(scores + i);
    highest = next > highest ? next : highest;
  }
  const float shift = std::max(most, largest(highest));
  Lanes sums = {};
  for (std::int64_t i = 0; i < width; i += kLanes) {
    float* group = scores + i;
    for (std::int64_t j = 0; j < kLanes; ++j) group[j] = fast_exp(group[j] - shift);
    sums += load(group);
  }
  const float shrink = fast_exp(most - shift);
  most = shift;
  total = total * shrink + sum_of(sums);
  return shrink;
}

struct QueryBlock {
  std::int64_t b, first, count;
  const float* q;
  std::int64_t q_row;
  float* sums;  // [count, wide]
};

void add_tile(const AttentionProblem& p, const QueryBlock& block, ForwardScratch& scratch,
              std::int64_t begin, std::int64_t visible) {
  const std::int64_t count = std::min(kKeyTile, visible - begin);
  const std::int64_t width = padded(count);
  multiply({.c = scratch.scores,
            .c_row = kKeyTile,
            .a = block.q,
            .a_row = block.q_row,
            .a_depth = 1,
            .b = scratch.keys + begin * p.size,
            .b_row = width,
            .rows = block.count,
            .columns = width,
            .depth = p.size});
  for (std::int64_t i = 0; i < block.count; ++i) {
    float* scores = scratch.scores + i * kKeyTile;
    const std::int64_t seen = std::min(p.limit(block.b, block.first + i) - begin, count);
    if (seen <= 0) {
      std::fill(scores, scores + width, 0.0f);
      continue;
    }
    const float shrink = softmax_row(scores, seen, width, scratch.most[i], scratch.total[i]);
    if (begin == 0 || shrink == 1.0f) continue;
    float* sums = block.sums + i * p.wide;
#pragma omp simd
    for (std::int64_t d = 0; d < p.wide; ++d) sums[d] *= shrink;
  }
  multiply({.c = block.sums,
            .c_row = p.wide,
            .a = scratch.scores,
            .a_row = kKeyTile,
            .a_depth = 1,
            .b = scratch.values + begin * scratch.value_row,
            .b_row = scratch.value_row,
            .rows = block.count,
            .columns = p.wide,
            .depth = count,
            .accumulate = begin > 0});
}

void attend_block(const AttentionProblem& p, const QueryBlock& block, ForwardScratch& scratch,
                  float* out, float* log_sum_exp, std::int64_t visible) {
  std::fill(scratch.most, scratch.most + block.count, kNothing);
  std::fill(scratch.total, scratch.total + block.count, 0.0f);
  const std::int64_t end = p.limit(block.b, block.first + block.count - 1);
  for (std::int64_t begin = 0; begin < end; begin += kKeyTile) {
    add_tile(p, block, scratch, begin, visible);
  }
  for (std::int64_t i = 0; i < block.count; ++i) {
    const float total = scratch.total[i];
    float* row = out + i * p.query_stride;
    log_sum_exp[i * p.heads] = total == 0.0f ? kNothing : scratch.most[i] + std::log(total);
    if (total == 0.0f) {
      std::fill(row, row + p.size, 0.0f);
      continue;
    }
    const float inverse = 1.0f / total;
    const float* sums = block.sums + i * p.wide;
#pragma omp simd
    for (std::int64_t d = 0; d < p.size; ++d) row[d] = sums[d] * inverse;
  }
}

void attend_group(const AttentionProblem& p, const AttentionForward& args, std::int64_t b,
                  std::int64_t group, float* memory) {
  const std::int64_t queries = p.queries_of(b), visible = p.limit(b, queries - 1);
  ForwardScratch scratch;
  scratch.keys = memory;
  float* values = scratch.keys + padded(p.keys) * p.size;
  float* sums = values + p.keys * p.wide;
  const float* k = args.k.data<float>();
  const float* v = args.v.data<float>();
  for (std::int64_t begin = 0; begin < visible; begin += kKeyTile) {
    const std::int64_t count = std::min(kKeyTile, visible - begin);
    pack_transposed(scratch.keys + begin * p.size, k + p.key_at(b, begin, group), p.key_stride,
                    count, p.size, p.scale);
  }
  // A few queries read each value a few times: where it lies is good enough.
  if (queries * p.heads_per_group() <= 8 && p.wide == p.size) {
    scratch.values = v + p.key_at(b, 0, group);
    scratch.value_row = p.key_stride;
  } else {
    pack_rows(values, p.wide, v + p.key_at(b, 0, group), p.key_stride, visible, p.size);
    scratch.values = values;
    scratch.value_row = p.wide;
  }
  const float* q = args.q.data<float>();
  float* out = args.out.data<float>();
  float* log_sum_exp = args.log_sum_exp.data<float>();
  for (std::int64_t i = 0; i < p.heads_per_group(); ++i) {
    const std::int64_t head = group * p.heads_per_group() + i;
    for (std::int64_t first = 0; first < queries; first += kQueryBlock) {
      const std::int64_t at = p.query_at(b, first, head);
      const QueryBlock block{.b = b,
                             .first = first,
                             .count = std::min(kQueryBlock, queries - first),
                             .q = q + at,
                             .q_row = p.query_stride,
                             .sums = sums};
      attend_block(p, block, scratch, out + at,
                   log_sum_exp + (p.first_query(b) + first) * p.heads + head, visible);
    }
  }
}

}  // namespace

void attention_forward(const AttentionForward& args) {
  const AttentionProblem p(args);
  if (p.queries == 0) return;
  const std::int64_t floats =
      padded(p.keys) * p.size + p.keys * p.wide + std::min(kQueryBlock, p.queries) * p.wide;
  const Tensor memory =
      Tensor::empty({thread_count(), floats}, DType::f32, args.q.device(), "attention scratch");
  float* scratch = memory.data<float>();
  parallel_for(p.batch * p.groups, p.grain(), [&](std::int64_t begin, std::int64_t end, int part) {
    for (std::int64_t item = begin; item < end; ++item) {
      attend_group(p, args, item / p.groups, item % p.groups, scratch + part * floats);
    }
  });
}

}  // namespace slotwise::kernels::cpu
