// The lookup: the score GEMM alone, selection alone, and the op that does both with the softmax.
#include <cmath>

#include "bench/limits.h"
#include "bench/memory_parts.h"
#include "kernels/gemm.h"
#include "kernels/product_key.h"

namespace slotwise::bench {
namespace {

struct Scores {
  std::int64_t M, H, k, h, n;
  Device device;
  Scores(const PathShape& s, std::int64_t N)
      : M(s.tokens),
        H(s.heads),
        k(s.top_k),
        h(s.half_key),
        n(std::llround(std::sqrt(static_cast<double>(N)))),
        device(s.device) {}
  double flops() const { return 4.0 * static_cast<double>(M * H * n * h); }
  double key_bytes() const { return 8.0 * static_cast<double>(H * n * h); }
  double query_bytes() const { return 8.0 * static_cast<double>(M * H * h); }
  double chosen() const { return static_cast<double>(M * H * k); }
};

Prepared score_gemm(const PathShape& shape, std::int64_t N) {
  const Scores s(shape, N);
  // One product for each head and half. They write the same place: reads and writes stay as many.
  const Tensor query = noise({2 * s.H * s.M, s.h}, s.device);
  const Tensor keys = noise({2 * s.H * s.n, s.h}, s.device);
  const Tensor scores = Tensor::empty({s.M, s.n}, DType::f32, s.device);
  const double written = 8.0 * static_cast<double>(s.M * s.H * s.n);
  return {s.query_bytes() + s.key_bytes() + written, s.flops(), [=] {
            for (std::int64_t i = 0; i < 2 * s.H; ++i) {
              kernels::gemm({.c = scores,
                             .a = query.slice(i * s.M, (i + 1) * s.M),
                             .b = keys.slice(i * s.n, (i + 1) * s.n),
                             .transpose_b = true});
            }
          }};
}

Prepared select(const PathShape& shape, std::int64_t N) {
  const Scores s(shape, N);
  const std::int64_t rows = s.M * s.H;
  const Tensor halves = noise({rows, 2, s.n}, s.device);
  const Tensor slots = Tensor::empty({rows, s.k}, DType::i32, s.device);
  const Tensor scores = Tensor::empty({rows, s.k}, DType::f32, s.device);
  return {8.0 * static_cast<double>(rows * s.n) + 8.0 * s.chosen(), 0.0, [=] {
            kernels::product_key_select({.slots = slots, .scores = scores, .half_scores = halves});
          }};
}

struct Lookup {
  Tensor query, keys, slots, weights;
  explicit Lookup(const Scores& s)
      : query(noise({s.M, s.H, 2, s.h}, s.device)),
        keys(noise({s.H, 2, s.n, s.h}, s.device)),
        slots(Tensor::empty({s.M, s.H, s.k}, DType::i32, s.device)),
        weights(Tensor::empty({s.M, s.H, s.k}, DType::f32, s.device)) {}
  void run() const {
    kernels::product_key_lookup({.slots = slots, .weights = weights, .query = query, .keys = keys});
  }
};

Prepared lookup(const PathShape& shape, std::int64_t N) {
  const Scores s(shape, N);
  const double bytes = s.query_bytes() + s.key_bytes() + 8.0 * s.chosen();
  return {bytes, s.flops(), [data = Lookup(s)] { data.run(); }};
}

// Through the chosen scores alone: two keys a slot, for dquery and for dkeys.
Prepared lookup_backward(const PathShape& shape, std::int64_t N) {
  const Scores s(shape, N);
  const Lookup data(s);
  data.run();
  const Tensor dweights = noise(data.weights.shape(), s.device);
  const Tensor dquery = Tensor::empty_like(data.query), dkeys = Tensor::empty_like(data.keys);
  const double bytes = 12.0 * s.chosen() + 2.0 * (s.query_bytes() + s.key_bytes());
  return {bytes, 8.0 * s.chosen() * static_cast<double>(s.h), [=] {
            kernels::product_key_lookup_backward({.dquery = {dquery},
                                                  .dkeys = {dkeys},
                                                  .dweights = dweights,
                                                  .slots = data.slots,
                                                  .weights = data.weights,
                                                  .query = data.query,
                                                  .keys = data.keys});
          }};
}

}  // namespace

const std::vector<ScorePart>& score_parts() {
  static const std::vector<ScorePart> parts = {{"score_gemm", false, score_gemm},
                                               {"select", true, select},
                                               {"lookup", false, lookup},
                                               {"lookup_backward", false, lookup_backward}};
  return parts;
}

}  // namespace slotwise::bench
