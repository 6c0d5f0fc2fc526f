// The gradient of a table of which a step reaches a part: over touched rows, in two pieces, and of
// chosen rows alone.
#include <fmt/core.h>

#include <algorithm>

#include "kernels/weighted_bag.h"
#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

struct TableCase {
  std::int64_t tokens, reads, slots, columns;
};

// Inputs: dy, slots, weights. `row_of` gives the row of the result that a slot's gradient goes to,
// or -1.
template <class RowOf>
std::vector<double> summed(const TableCase& s, const Doubles& in, std::int64_t rows, RowOf row_of) {
  const auto columns = static_cast<std::size_t>(s.columns);
  std::vector<double> out(static_cast<std::size_t>(rows) * columns, 0.0);
  for (std::size_t access = 0; access < in[1].size(); ++access) {
    const double row = row_of(in[1][access]);
    if (row < 0) continue;
    const std::size_t token = access / static_cast<std::size_t>(s.reads);
    for (std::size_t d = 0; d < columns; ++d) {
      out[static_cast<std::size_t>(row) * columns + d] +=
          in[2][access] * in[0][token * columns + d];
    }
  }
  return out;
}

Tensors table_inputs(const TableCase& s) {
  return {random_normal({s.tokens, s.columns}, 1),
          random_integers({s.tokens, s.reads}, 2, static_cast<std::int32_t>(s.slots)),
          random_normal({s.tokens, s.reads}, 3)};
}

// The same pieces twice: the second adds to rows that the first one has written. Rows that nothing
// reaches keep their zeros.
OpCase touched_case(const TableCase& s) {
  OpCase out;
  out.label =
      fmt::format("touched, {} tokens x {} of {}x{}", s.tokens, s.reads, s.slots, s.columns);
  out.inputs = table_inputs(s);
  out.forward = [s](const Tensors& in) -> Tensors {
    const Tensor gradient = Tensor::zeros({s.slots, s.columns}, DType::f32, in[0].device());
    const Tensor touched = Tensor::zeros({s.slots}, DType::u8, in[0].device());
    for (int piece = 0; piece < 2; ++piece) {
      kernels::weighted_bag_backward_values({.dvalues = {gradient, true},
                                             .dy = in[0],
                                             .slots = in[1],
                                             .weights = in[2],
                                             .touched = touched});
    }
    return {gradient, touched};
  };
  out.reference = [s](const Doubles& in) -> Doubles {
    Doubles result{summed(s, in, s.slots, [](double slot) { return slot; }),
                   std::vector<double>(static_cast<std::size_t>(s.slots), 0.0)};
    for (double& value : result[0]) value *= 2.0;
    for (const double slot : in[1]) result[1][static_cast<std::size_t>(slot)] = 1.0;
    return result;
  };
  out.tolerance = 1e-6;
  return out;
}

// Every third slot is chosen, the last one first.
OpCase selected_case(const TableCase& s) {
  OpCase out;
  out.label =
      fmt::format("selected, {} tokens x {} of {}x{}", s.tokens, s.reads, s.slots, s.columns);
  out.inputs = table_inputs(s);
  const std::int64_t rows = (s.slots + 2) / 3;
  std::vector<std::int32_t> map(static_cast<std::size_t>(s.slots), -1);
  for (std::int64_t i = 0; i < rows; ++i) {
    map[static_cast<std::size_t>(3 * i)] = static_cast<std::int32_t>(rows - 1 - i);
  }
  out.inputs.push_back(Tensor::from(map, {s.slots}));
  out.forward = [s, rows](const Tensors& in) -> Tensors {
    const Tensor gradient = Tensor::zeros({rows, s.columns}, DType::f32, in[0].device());
    for (int piece = 0; piece < 2; ++piece) {
      kernels::selected_row_gradient({.gradient = {gradient, true},
                                      .dy = in[0],
                                      .slots = in[1],
                                      .weights = in[2],
                                      .row_of_slot = in[3]});
    }
    return {gradient};
  };
  out.reference = [s, rows](const Doubles& in) -> Doubles {
    std::vector<double> sums =
        summed(s, in, rows, [&](double slot) { return in[3][static_cast<std::size_t>(slot)]; });
    for (double& value : sums) value *= 2.0;
    return {sums};
  };
  out.tolerance = 1e-6;
  return out;
}

template <class Make>
std::vector<OpCase> at_sizes(Make&& make) {
  return {make({5, 3, 11, 7}), make({4, 6, 2, 17}), make({1, 1, 1, 1}),
          make({0, 3, 5, 4}),  make({6, 9, 40, 8}), make({70, 16, 20, 33})};
}

// More columns than one pass of a block; more terms than one round of sums, with long segments.
template <class Make>
std::vector<OpCase> at_wide_sizes(Make&& make) {
  return {make({5, 3, 40, 1032}), make({900, 32, 300, 24}), make({20000, 32, 5000, 8})};
}

std::int64_t distinct(const Tensor& slots, std::int64_t N) {
  std::vector<bool> seen(static_cast<std::size_t>(N), false);
  for (const std::int32_t slot : slots.span<std::int32_t>()) {
    seen[static_cast<std::size_t>(slot)] = true;
  }
  return std::count(seen.begin(), seen.end(), true);
}

// What both read: every access and dy, once; one row of `rows` written for each.
OpCase timed_table_case(const TableCase& s, std::int64_t rows, double share_of_accesses) {
  OpCase out;
  out.label = fmt::format("{} tokens x {} of {}x{}", s.tokens, s.reads, s.slots, s.columns);
  out.inputs = table_inputs(s);
  const auto accesses = static_cast<double>(s.tokens * s.reads);
  out.bytes = 8.0 * accesses + 4.0 * static_cast<double>((s.tokens + rows) * s.columns);
  out.flops = 2.0 * share_of_accesses * accesses * static_cast<double>(s.columns);
  return out;
}

// One piece into a gradient that the step has not touched yet.
OpCase touched_bench(const TableCase& s) {
  const std::int64_t rows = distinct(table_inputs(s)[1], s.slots);
  OpCase out = timed_table_case(s, rows, 1.0);
  out.inputs.push_back(Tensor::zeros({s.slots, s.columns}));
  out.inputs.push_back(Tensor::zeros({s.slots}, DType::u8));
  out.timed = [](const Tensors& in) {
    in[4].zero();
    kernels::weighted_bag_backward_values({.dvalues = {in[3], true},
                                           .dy = in[0],
                                           .slots = in[1],
                                           .weights = in[2],
                                           .touched = in[4]});
  };
  return out;
}

// 500 slots of the table are chosen.
OpCase selected_bench(const TableCase& s) {
  const std::int64_t rows = 500;
  OpCase out = timed_table_case(s, rows, static_cast<double>(rows) / static_cast<double>(s.slots));
  std::vector<std::int32_t> map(static_cast<std::size_t>(s.slots), -1);
  for (std::int32_t i = 0; i < rows; ++i) {
    map[static_cast<std::size_t>(i) * static_cast<std::size_t>(s.slots / rows)] = i;
  }
  out.inputs.push_back(Tensor::from(map, {s.slots}));
  out.inputs.push_back(Tensor::zeros({rows, s.columns}));
  out.timed = [](const Tensors& in) {
    kernels::selected_row_gradient(
        {.gradient = {in[4]}, .dy = in[0], .slots = in[1], .weights = in[2], .row_of_slot = in[3]});
  };
  return out;
}

template <OpCase (*make)(const TableCase&)>
std::vector<OpCase> bench_sizes() {
  return {make({4096, 16, 16384, 64}), make({512, 128, 65536, 1024})};
}

const bool registered_touched =
    register_op({"weighted_bag_touched_rows", [] { return at_sizes(touched_case); },
                 bench_sizes<touched_bench>, [] { return at_wide_sizes(touched_case); }});
const bool registered_selected =
    register_op({"selected_row_gradient", [] { return at_sizes(selected_case); },
                 bench_sizes<selected_bench>, [] { return at_wide_sizes(selected_case); }});

}  // namespace
}  // namespace slotwise::testing
