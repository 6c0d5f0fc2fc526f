// Attention over every mask: causal or not, cached prefixes (query_start), padded rows
// (key_length), packed rows (offsets), grouped queries, tiles that are full, partial and empty,
// queries that see nothing.
#include "kernels/attention.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

struct AttentionCase {
  std::int64_t batch, queries, keys, heads, groups, size;
  bool causal = true;
  std::vector<std::int32_t> query_start{};  // empty: absent
  std::vector<std::int32_t> key_length{};   // empty: absent
  float std = 1.0f;
  std::vector<std::int32_t> offsets{};  // of packed rows; empty: absent
  DType products = DType::f32;

  std::int64_t longest() const {
    std::int32_t most = 0;
    for (std::size_t r = 1; r < offsets.size(); ++r) {
      most = std::max(most, offsets[r] - offsets[r - 1]);
    }
    return most;
  }
  // First token and length of the packed row that a token is in; all tokens where nothing is
  // packed.
  std::pair<std::int64_t, std::int64_t> row_of(std::int64_t token) const {
    if (offsets.empty()) return {0, keys};
    const auto next = std::upper_bound(offsets.begin(), offsets.end(), token);
    return {*(next - 1), *next - *(next - 1)};
  }
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(size)); }
};

// Inputs: q, k, v, query_start, key_length, offsets (the last three [0] where absent).
Tensor optional_row(const Tensor& tensor) {
  return tensor.elements() > 0 ? tensor : Tensor();
}

Tensors forward(const AttentionCase& s, const Tensors& in) {
  const Tensor out = Tensor::empty_like(in[0]);
  const Tensor log_sum_exp =
      Tensor::empty({s.batch, s.queries, s.heads}, DType::f32, in[0].device());
  kernels::attention_forward({.out = out,
                              .log_sum_exp = log_sum_exp,
                              .q = in[0],
                              .k = in[1],
                              .v = in[2],
                              .query_start = optional_row(in[3]),
                              .key_length = optional_row(in[4]),
                              .offsets = optional_row(in[5]),
                              .longest = s.longest(),
                              .causal = s.causal,
                              .scale = s.scale(),
                              .products = s.products});
  return {out, log_sum_exp};
}

Tensors backward(const AttentionCase& s, const Tensors& in, const Tensors& out,
                 const Tensors& grads) {
  const Tensor dq = Tensor::empty_like(in[0]);
  const Tensor dk = Tensor::empty_like(in[1]);
  const Tensor dv = Tensor::empty_like(in[2]);
  kernels::attention_backward({.dq = dq,
                               .dk = dk,
                               .dv = dv,
                               .dout = grads[0],
                               .out = out[0],
                               .log_sum_exp = out[1],
                               .q = in[0],
                               .k = in[1],
                               .v = in[2],
                               .query_start = optional_row(in[3]),
                               .key_length = optional_row(in[4]),
                               .offsets = optional_row(in[5]),
                               .longest = s.longest(),
                               .causal = s.causal,
                               .scale = s.scale(),
                               .products = s.products});
  return {dq, dk, dv, {}, {}, {}};
}

// One query of one head: softmax over its visible keys in double. Returns log_sum_exp.
double attend(const AttentionCase& s, const Doubles& in, std::int64_t b, std::int64_t t,
              std::int64_t head, double* out) {
  const auto [first, length] = s.row_of(t);
  std::int64_t seen = length;
  if (!s.key_length.empty()) seen = std::min(seen, static_cast<std::int64_t>(in[4][b]));
  const std::int64_t start = s.query_start.empty() ? 0 : static_cast<std::int64_t>(in[3][b]);
  if (s.causal) seen = std::min(seen, start + t - first + 1);
  std::fill(out, out + s.size, 0.0);
  if (seen <= 0) return -std::numeric_limits<double>::infinity();
  const double* q = in[0].data() + ((b * s.queries + t) * s.heads + head) * s.size;
  const std::int64_t group = head / (s.heads / s.groups);
  const auto row = [&, first = first](int input, std::int64_t key) {
    return in[input].data() + ((b * s.keys + first + key) * s.groups + group) * s.size;
  };
  std::vector<double> scores(static_cast<std::size_t>(seen));
  for (std::int64_t key = 0; key < seen; ++key) {
    double dot = 0.0;
    for (std::int64_t i = 0; i < s.size; ++i) dot += q[i] * row(1, key)[i];
    scores[key] = dot * static_cast<double>(s.scale());
  }
  const double most = *std::max_element(scores.begin(), scores.end());
  double total = 0.0;
  for (double& score : scores) total += score = std::exp(score - most);
  for (std::int64_t key = 0; key < seen; ++key) {
    for (std::int64_t i = 0; i < s.size; ++i) out[i] += scores[key] / total * row(2, key)[i];
  }
  return most + std::log(total);
}

Doubles reference(const AttentionCase& s, const Doubles& in) {
  Doubles out{std::vector<double>(in[0].size()),
              std::vector<double>(static_cast<std::size_t>(s.batch * s.queries * s.heads))};
  for (std::int64_t row = 0; row < s.batch * s.queries * s.heads; ++row) {
    const std::int64_t token = row / s.heads;
    out[1][row] = attend(s, in, token / s.queries, token % s.queries, row % s.heads,
                         out[0].data() + row * s.size);
  }
  return out;
}

OpCase make_case(const AttentionCase& s) {
  OpCase out;
  out.label = fmt::format(
      "B{} Tq{} Tk{} H{} G{} D{}{}{}{}{}, std {}", s.batch, s.queries, s.keys, s.heads, s.groups,
      s.size, s.causal ? ", causal" : "", s.query_start.empty() ? "" : ", query_start",
      s.key_length.empty() ? "" : ", key_length", s.offsets.empty() ? "" : ", packed", s.std);
  const auto row = [](const std::vector<std::int32_t>& values) {
    return Tensor::from(values, {static_cast<std::int64_t>(values.size())});
  };
  out.inputs = {random_normal({s.batch, s.queries, s.heads, s.size}, 1, s.std),
                random_normal({s.batch, s.keys, s.groups, s.size}, 2, s.std),
                random_normal({s.batch, s.keys, s.groups, s.size}, 3),
                row(s.query_start),
                row(s.key_length),
                row(s.offsets)};
  out.has_gradient = {true, true, true, false, false, false};
  out.output_has_gradient = {true, false};
  out.forward = [s](const Tensors& in) { return forward(s, in); };
  out.backward = [s](const Tensors& in, const Tensors& outputs, const Tensors& grads) {
    return backward(s, in, outputs, grads);
  };
  out.reference = [s](const Doubles& in) { return reference(s, in); };
  out.tolerance = 1e-6;
  const double tokens = static_cast<double>(s.batch * s.queries);
  const double heads = static_cast<double>(s.heads * s.size);
  out.bytes = 4.0 * (2.0 * tokens * heads +
                     2.0 * static_cast<double>(s.batch * s.keys * s.groups * s.size));
  out.flops = 4.0 * tokens * heads * static_cast<double>(s.keys) * (s.causal ? 0.5 : 1.0);
  // Five products instead of two; q, out, dout and dq; k, v, dk and dv.
  out.backward_bytes = 2.0 * out.bytes;
  out.backward_flops = 2.5 * out.flops;
  return out;
}

// Central differences over long sequences take minutes: only the outputs and the bits are compared
// here; the gradients of long sequences are tested against whole-sequence formulas in
// attention_test.cpp.
OpCase outputs_only(OpCase test) {
  test.backward = nullptr;
  return test;
}

// Rows of these lengths one after another.
OpCase packed(const std::vector<std::int32_t>& lengths, std::int64_t heads, std::int64_t groups,
              std::int64_t size, bool causal) {
  std::vector<std::int32_t> offsets{0};
  for (const std::int32_t length : lengths) offsets.push_back(offsets.back() + length);
  const std::int64_t tokens = offsets.back();
  return make_case({1, tokens, tokens, heads, groups, size, causal, {}, {}, 1.0f, offsets});
}

std::vector<OpCase> test_cases() {
  OpCase large = make_case({1, 5, 5, 1, 1, 4, true, {}, {}, 30.0f});
  // Scores near 1000 carry a rounding error of 1e-4 in fp32, which their exponentials inherit.
  large.tolerance = 1e-4;
  large.gradient_tolerance = 1e-3;
  return {make_case({2, 13, 13, 2, 2, 16}),
          make_case({1, 13, 13, 2, 2, 5, false}),
          make_case({1, 1, 1, 1, 1, 1}),
          make_case({2, 5, 5, 6, 2, 8}),                        // grouped queries
          make_case({1, 3, 17, 4, 1, 3, false}),                // all heads share a group
          make_case({2, 3, 9, 2, 1, 8, true, {4, 0}}),          // a cached prefix
          make_case({3, 5, 7, 2, 2, 4, false, {}, {7, 3, 0}}),  // padding; a row without keys
          make_case({2, 4, 9, 2, 2, 4, true, {5, 2}, {6, 9}}),
          make_case({1, 4, 4, 1, 1, 8, true, {-2}}),  // queries before the first key
          make_case({1, 3, 67, 2, 1, 4, false}),      // a second, partial tile
          make_case({1, 67, 3, 1, 1, 2, false}),      // a second block of queries
          packed({4, 1, 6, 2}, 2, 2, 8, true),
          packed({3, 0, 5, 0}, 4, 2, 5, false),  // empty rows
          packed({7}, 1, 1, 3, true),
          packed({}, 2, 1, 4, true),
          outputs_only(packed({70, 1, 130, 64}, 4, 2, 20, true)),
          outputs_only(packed({65, 129}, 1, 1, 33, false)),
          make_case({0, 5, 5, 2, 2, 8}),
          make_case({1, 0, 5, 2, 2, 8}),
          make_case({1, 3, 0, 2, 2, 8, false}),
          outputs_only(make_case({1, 150, 150, 2, 1, 20})),
          outputs_only(make_case({2, 70, 200, 2, 2, 64, true, {130, 3}, {200, 65}})),
          outputs_only(make_case({1, 129, 129, 1, 1, 33, false})),
          large};
}

// Larger heads, several tiles forward and backward, causal, packed and grouped.
std::vector<OpCase> wide_cases() {
  return {make_case({1, 70, 70, 2, 1, 80}),
          make_case({1, 40, 72, 4, 2, 128, true, {32}, {70}}),
          make_case({1, 40, 40, 2, 1, 160, false}),
          make_case({1, 33, 33, 2, 2, 256}),
          make_case({1, 150, 150, 2, 1, 20}),
          make_case({2, 70, 200, 2, 2, 64, true, {130, 3}, {200, 65}}),
          packed({70, 1, 130}, 4, 2, 128, true),
          packed({65, 129}, 1, 1, 33, false)};
}

std::vector<OpCase> bench_cases() {
  return {make_case({36, 13, 13, 4, 4, 16}), make_case({8, 512, 512, 8, 8, 64}),
          make_case({8, 512, 512, 8, 2, 64}), make_case({8, 1, 512, 8, 8, 64, false})};
}

// What cuDNN takes: plain rows and bf16. Inputs are bf16 numbers, so that only what is rounded on
// the way differs; the CPU rounds nothing.
OpCase narrow(AttentionCase s) {
  s.products = DType::bf16;
  OpCase out = make_case(s);
  out.operands = DType::bf16;
  for (int i = 0; i < 3; ++i) {
    for (float& x : out.inputs[i].span<float>()) x = static_cast<float>(BFloat16(x));
  }
  return out;
}

std::vector<OpCase> narrow_test_cases() {
  return {narrow({2, 13, 13, 2, 2, 16}),
          narrow({1, 12, 12, 4, 1, 32, false}),
          narrow({2, 5, 17, 6, 2, 8}),
          outputs_only(narrow({2, 128, 128, 4, 2, 64})),
          outputs_only(narrow({1, 200, 200, 2, 2, 128})),
          outputs_only(narrow({1, 70, 150, 2, 1, 40, false}))};
}

std::vector<OpCase> narrow_wide_cases() {
  return {narrow({2, 128, 128, 4, 2, 64}), narrow({1, 200, 200, 2, 2, 128}),
          narrow({1, 70, 150, 2, 1, 40, false})};
}

std::vector<OpCase> narrow_bench_cases() {
  return {narrow({8, 512, 512, 8, 8, 64}), narrow({8, 512, 512, 8, 2, 64}),
          narrow({4, 1024, 1024, 12, 12, 64})};
}

const bool registered = register_op({"attention", test_cases, bench_cases, wide_cases});
const bool narrow_registered =
    register_op({"attention_bf16", narrow_test_cases, narrow_bench_cases, narrow_wide_cases});

}  // namespace
}  // namespace slotwise::testing
