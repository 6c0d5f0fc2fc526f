// Lookup: slots and weights of the best slots; gradients of query and keys through the weights,
// where the seeds keep the chosen scores further apart than the steps of the differences.
#include "kernels/product_key.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/kernels/ops/sinks.h"

namespace slotwise::testing {
namespace {

struct LookupCase {
  std::int64_t tokens, heads, half_dim, sub_keys, k;
  bool accumulate = false;
};

Doubles lookup_reference(const LookupCase& s, const Doubles& in) {
  const auto n = static_cast<std::size_t>(s.sub_keys), h = static_cast<std::size_t>(s.half_dim);
  const auto k = static_cast<std::size_t>(s.k), heads = static_cast<std::size_t>(s.heads);
  std::vector<double> slots, weights;
  for (std::size_t q = 0; q < static_cast<std::size_t>(s.tokens) * heads; ++q) {
    const auto half_score = [&](std::size_t half, std::size_t sub_key) {
      const auto query = in[0].begin() + static_cast<std::ptrdiff_t>((q * 2 + half) * h);
      const auto key =
          in[1].begin() + static_cast<std::ptrdiff_t>(((q % heads * 2 + half) * n + sub_key) * h);
      return std::inner_product(query, query + s.half_dim, key, 0.0);
    };
    std::vector<double> halves[2], scores;
    for (std::size_t half = 0; half < 2; ++half) {
      for (std::size_t i = 0; i < n; ++i) halves[half].push_back(half_score(half, i));
    }
    for (std::size_t slot = 0; slot < n * n; ++slot) {
      scores.push_back(halves[0][slot / n] + halves[1][slot % n]);
    }
    std::vector<std::size_t> order(n * n);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    double total = 0.0;
    for (std::size_t j = 0; j < k; ++j) total += std::exp(scores[order[j]]);
    for (std::size_t j = 0; j < k; ++j) {
      slots.push_back(static_cast<double>(order[j]));
      weights.push_back(std::exp(scores[order[j]]) / total);
    }
  }
  return {slots, weights};
}

OpCase make_case(const LookupCase& s) {
  OpCase out;
  out.label = fmt::format("{} tokens, H {}, h {}, n {}, k {}{}", s.tokens, s.heads, s.half_dim,
                          s.sub_keys, s.k, s.accumulate ? ", adding" : "");
  out.inputs = {random_normal({s.tokens, s.heads, 2, s.half_dim}, 1),
                random_normal({s.heads, 2, s.sub_keys, s.half_dim}, 2,
                              1.0f / std::sqrt(static_cast<float>(s.half_dim)))};
  out.has_gradient = {true, true};
  out.output_has_gradient = {false, true};
  out.forward = [s](const Tensors& in) -> Tensors {
    const Shape shape = {s.tokens, s.heads, s.k};
    const Tensor slots = Tensor::empty(shape, DType::i32, in[0].device());
    const Tensor weights = Tensor::empty(shape, DType::f32, in[0].device());
    kernels::product_key_lookup(
        {.slots = slots, .weights = weights, .query = in[0], .keys = in[1]});
    return {slots, weights};
  };
  out.backward = [s](const Tensors& in, const Tensors& outputs, const Tensors& grads) -> Tensors {
    const Sink dquery = sink_like(in[0], s.accumulate), dkeys = sink_like(in[1], s.accumulate);
    kernels::product_key_lookup_backward({.dquery = dquery,
                                          .dkeys = dkeys,
                                          .dweights = grads[1],
                                          .slots = outputs[0],
                                          .weights = outputs[1],
                                          .query = in[0],
                                          .keys = in[1]});
    return {contribution(dquery), contribution(dkeys)};
  };
  out.reference = [s](const Doubles& in) { return lookup_reference(s, in); };
  out.tolerance = 2e-6;
  // The noise that was added to leaves its rounding behind.
  out.gradient_tolerance = s.accumulate ? 2e-5 : 1e-5;
  const auto queries = static_cast<double>(s.tokens * s.heads);
  out.bytes = 8.0 * (queries * static_cast<double>(s.half_dim + s.k) +
                     static_cast<double>(s.heads * s.sub_keys * s.half_dim));
  out.flops = 4.0 * queries * static_cast<double>(s.sub_keys * s.half_dim);
  // Through the chosen scores alone: two keys a slot, for dquery and for dkeys.
  const double chosen = queries * static_cast<double>(s.k);
  out.backward_bytes = 12.0 * chosen + 16.0 * queries * static_cast<double>(s.half_dim) +
                       16.0 * static_cast<double>(s.heads * s.sub_keys * s.half_dim);
  out.backward_flops = 8.0 * chosen * static_cast<double>(s.half_dim);
  return out;
}

std::vector<OpCase> test_cases() {
  return {make_case({3, 2, 5, 7, 3}), make_case({4, 1, 3, 6, 4, true}), make_case({1, 1, 1, 2, 1}),
          make_case({0, 2, 3, 4, 2}), make_case({2, 3, 4, 5, 5})};
}

// Small integers: scores are exact in every order of addition, so the slots must be the same, and
// ties are everywhere. Several tiles of tokens and sub-keys; several chunks of tokens.
OpCase integer_case(const LookupCase& s) {
  OpCase out = make_case(s);
  out.label += ", integers";
  for (std::size_t i = 0; i < out.inputs.size(); ++i) {
    const Tensor drawn = random_integers(out.inputs[i].shape(), 7 + i, 5);
    for (std::int64_t j = 0; j < drawn.elements(); ++j) {
      out.inputs[i].data<float>()[j] = static_cast<float>(drawn.data<std::int32_t>()[j] - 2) / 8;
    }
  }
  return out;
}

std::vector<OpCase> wide_cases() {
  return {integer_case({200, 2, 36, 260, 33}), integer_case({1100, 4, 64, 1024, 32}),
          integer_case({130, 1, 17, 129, 100, true})};
}

std::vector<OpCase> bench_cases() {
  return {make_case({4096, 4, 16, 128, 4}), make_case({1024, 4, 64, 1024, 32})};
}

const bool registered = register_op({"product_key_lookup", test_cases, bench_cases, wide_cases});

}  // namespace
}  // namespace slotwise::testing
