// Rows by id, with repeated ids; the table's gradient overwritten and added to.
#include "kernels/embedding.h"

#include <fmt/core.h>

#include "tests/kernels/ops/sinks.h"

namespace slotwise::testing {
namespace {

struct EmbeddingCase {
  std::int64_t vocabulary, columns, tokens;
  bool accumulate = false;
};

OpCase make_case(const EmbeddingCase& s) {
  OpCase out;
  out.label = fmt::format("{}x{}, {} tokens{}", s.vocabulary, s.columns, s.tokens,
                          s.accumulate ? ", adding" : "");
  out.inputs = {random_normal({s.vocabulary, s.columns}, 1),
                random_integers({s.tokens}, 2, static_cast<std::int32_t>(s.vocabulary))};
  out.has_gradient = {true, false};
  out.forward = [s](const Tensors& in) -> Tensors {
    const Tensor y = Tensor::empty({s.tokens, s.columns}, DType::f32, in[0].device());
    kernels::embedding_forward({.y = y, .table = in[0], .ids = in[1]});
    return {y};
  };
  out.backward = [s](const Tensors& in, const Tensors&, const Tensors& grads) -> Tensors {
    const Sink dtable = sink_like(in[0], s.accumulate);
    kernels::embedding_backward({.dtable = dtable, .dy = grads[0], .ids = in[1]});
    return {contribution(dtable), {}};
  };
  out.reference = [s](const Doubles& in) -> Doubles {
    std::vector<double> y;
    for (const double id : in[1]) {
      const auto first = in[0].begin() + static_cast<std::int64_t>(id) * s.columns;
      y.insert(y.end(), first, first + s.columns);
    }
    return {y};
  };
  out.tolerance = 0.0;
  out.gradient_tolerance = 1e-6;
  out.bytes = 8.0 * static_cast<double>(s.tokens * s.columns);
  // dy, and the table's gradient overwritten.
  out.backward_bytes = 4.0 * static_cast<double>((s.tokens + s.vocabulary) * s.columns);
  out.backward_flops = static_cast<double>(s.tokens * s.columns);
  return out;
}

std::vector<OpCase> test_cases() {
  return {make_case({11, 17, 29}), make_case({11, 33, 29, true}), make_case({1, 5, 7}),
          make_case({5, 1, 1}),    make_case({7, 3, 0}),          make_case({7, 3, 0, true}),
          make_case({67, 3, 5})};
}

std::vector<OpCase> bench_cases() {
  return {make_case({512, 64, 468}), make_case({50000, 512, 4096})};
}

const bool registered = register_op({"embedding", test_cases, bench_cases});

}  // namespace
}  // namespace slotwise::testing
