// Gradients of attention over several tiles, against the formulas on whole sequences in double
// (P = softmax, dV = P^T dO, dS = P (dO V^T - rowsum(dO O)), dQ = dS K, dK = dS^T Q), and what a
// broken input must look like.
#include "kernels/attention.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>

#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

struct Problem {
  std::int64_t queries, keys, heads, groups, size;
  bool causal;
  std::int32_t query_start, key_length;
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(size)); }
};

struct Results {
  Tensor q, k, v, dout, out, log_sum_exp, dq, dk, dv;
};

// `padding` stands where keys and values lie behind key_length.
Results run(const Problem& p, float padding = 0.5f) {
  Results r;
  r.q = random_normal({1, p.queries, p.heads, p.size}, 1);
  r.k = random_normal({1, p.keys, p.groups, p.size}, 2);
  r.v = random_normal({1, p.keys, p.groups, p.size}, 3);
  const std::int64_t seen = p.key_length * p.groups * p.size;
  for (const Tensor& x : {r.k, r.v}) {
    std::fill(x.data<float>() + seen, x.data<float>() + x.elements(), padding);
  }
  r.dout = random_normal({1, p.queries, p.heads, p.size}, 4);
  r.out = Tensor::empty_like(r.q);
  r.log_sum_exp = Tensor::empty({1, p.queries, p.heads});
  r.dq = Tensor::empty_like(r.q);
  r.dk = Tensor::empty_like(r.k);
  r.dv = Tensor::empty_like(r.v);
  const Tensor start = Tensor::from<std::int32_t>({p.query_start}, {1});
  const Tensor length = Tensor::from<std::int32_t>({p.key_length}, {1});
  kernels::attention_forward({.out = r.out,
                              .log_sum_exp = r.log_sum_exp,
                              .q = r.q,
                              .k = r.k,
                              .v = r.v,
                              .query_start = start,
                              .key_length = length,
                              .causal = p.causal,
                              .scale = p.scale()});
  kernels::attention_backward({.dq = r.dq,
                               .dk = r.dk,
                               .dv = r.dv,
                               .dout = r.dout,
                               .out = r.out,
                               .log_sum_exp = r.log_sum_exp,
                               .q = r.q,
                               .k = r.k,
                               .v = r.v,
                               .query_start = start,
                               .key_length = length,
                               .causal = p.causal,
                               .scale = p.scale()});
  return r;
}

double dot(const double* a, const double* b, std::int64_t size) {
  double sum = 0.0;
  for (std::int64_t i = 0; i < size; ++i) sum += a[i] * b[i];
  return sum;
}

void add(double* to, double factor, const double* from, std::int64_t size) {
  for (std::int64_t i = 0; i < size; ++i) to[i] += factor * from[i];
}

// dq, dk, dv in double.
Doubles expected_gradients(const Problem& p, const Results& r) {
  const std::vector<double> q = to_doubles(r.q), k = to_doubles(r.k), v = to_doubles(r.v);
  const std::vector<double> dout = to_doubles(r.dout);
  Doubles grads{std::vector<double>(q.size()), std::vector<double>(k.size()),
                std::vector<double>(v.size())};
  const double scale = static_cast<double>(p.scale());
  for (std::int64_t row = 0; row < p.queries * p.heads; ++row) {
    const std::int64_t group = row % p.heads / (p.heads / p.groups);
    std::int64_t seen = std::min<std::int64_t>(p.keys, p.key_length);
    if (p.causal) seen = std::min(seen, p.query_start + row / p.heads + 1);
    const auto at = [&](std::int64_t key) { return (key * p.groups + group) * p.size; };
    std::vector<double> weights, slopes;
    double total = 0.0, mean = 0.0;
    for (std::int64_t key = 0; key < seen; ++key) {
      weights.push_back(std::exp(scale * dot(&q[row * p.size], &k[at(key)], p.size)));
      slopes.push_back(dot(&dout[row * p.size], &v[at(key)], p.size));
      total += weights.back();
    }
    for (std::int64_t key = 0; key < seen; ++key) {
      weights[key] /= total;
      mean += weights[key] * slopes[key];
    }
    for (std::int64_t key = 0; key < seen; ++key) {
      const double ds = scale * weights[key] * (slopes[key] - mean);
      add(&grads[0][row * p.size], ds, &k[at(key)], p.size);
      add(&grads[1][at(key)], ds, &q[row * p.size], p.size);
      add(&grads[2][at(key)], weights[key], &dout[row * p.size], p.size);
    }
  }
  return grads;
}

TEST(Attention, GradientsOfLongSequences) {
  for (const Problem& p :
       {Problem{150, 150, 4, 2, 24, true, 0, 150}, Problem{70, 200, 2, 2, 64, true, 130, 200},
        Problem{129, 131, 3, 1, 17, false, 0, 99}, Problem{200, 64, 1, 1, 8, true, -70, 64}}) {
    SCOPED_TRACE(::testing::Message() << p.queries << " queries, " << p.keys << " keys");
    const Results r = run(p);
    const Doubles expected = expected_gradients(p, r);
    EXPECT_LE(relative_error(r.dq, expected[0]), 2e-6);
    EXPECT_LE(relative_error(r.dk, expected[1]), 2e-6);
    EXPECT_LE(relative_error(r.dv, expected[2]), 2e-6);
  }
}

// A (batch, group) has one owner, so not even the number of threads changes a bit.
TEST(Attention, BitsDoNotDependOnThreads) {
  const Problem p{130, 130, 4, 2, 64, true, 0, 130};
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const Results one = run(p);
  omp_set_num_threads(2);
  const Results two = run(p);
  omp_set_num_threads(before);
  EXPECT_EQ(one.out.to_vector<float>(), two.out.to_vector<float>());
  EXPECT_EQ(one.dq.to_vector<float>(), two.dq.to_vector<float>());
  EXPECT_EQ(one.dk.to_vector<float>(), two.dk.to_vector<float>());
  EXPECT_EQ(one.dv.to_vector<float>(), two.dv.to_vector<float>());
}

// A NaN in a key reaches every query that sees it, and none that does not.
TEST(Attention, NanIsNotHidden) {
  const Tensor q = random_normal({1, 100, 1, 8}, 1);
  const Tensor k = random_normal({1, 100, 1, 8}, 2);
  const Tensor out = Tensor::empty_like(q);
  const Tensor log_sum_exp = Tensor::empty({1, 100, 1});
  k.data<float>()[70 * 8 + 3] = NAN;
  kernels::attention_forward({.out = out,
                              .log_sum_exp = log_sum_exp,
                              .q = q,
                              .k = k,
                              .v = q,
                              .query_start = {},
                              .key_length = {}});
  for (std::int64_t t = 0; t < 100; ++t) {
    EXPECT_EQ(std::isnan(log_sum_exp.data<float>()[t]), t >= 70) << t;
    EXPECT_EQ(std::isnan(out.data<float>()[t * 8]), t >= 70) << t;
  }
}

// Nor does what lies behind key_length reach a gradient.
TEST(Attention, PaddingMayHoldAnything) {
  const Problem p{70, 140, 2, 1, 8, false, 0, 75};
  const Results clean = run(p), dirty = run(p, NAN);
  EXPECT_EQ(dirty.out.to_vector<float>(), clean.out.to_vector<float>());
  EXPECT_EQ(dirty.dq.to_vector<float>(), clean.dq.to_vector<float>());
  EXPECT_EQ(dirty.dk.to_vector<float>(), clean.dk.to_vector<float>());
  EXPECT_EQ(dirty.dv.to_vector<float>(), clean.dv.to_vector<float>());
}

TEST(Attention, RefusesHeadsThatGroupsDoNotDivide) {
  const Tensor q = Tensor::zeros({1, 2, 3, 4});
  const Tensor k = Tensor::zeros({1, 2, 2, 4});
  EXPECT_THROW(kernels::attention_forward({.out = Tensor::empty_like(q),
                                           .log_sum_exp = Tensor::empty({1, 2, 3}),
                                           .q = q,
                                           .k = k,
                                           .v = k,
                                           .query_start = {},
                                           .key_length = {}}),
               Error);
}

}  // namespace
}  // namespace slotwise::testing
