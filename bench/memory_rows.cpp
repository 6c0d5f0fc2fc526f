// What reads and writes the table's rows: the bag, its gradients, and the dense optimizer.
#include "bench/memory_parts.h"
#include "kernels/adamw.h"
#include "kernels/weighted_bag.h"

namespace slotwise::bench {
namespace {

// Every read of a row counts, also of one that a cache holds: a share above 1 says that it did.
double row_bytes(const PathShape& s, std::int64_t D) {
  return 4.0 * static_cast<double>((s.accesses() + s.tokens) * D);
}
double row_flops(const PathShape& s, std::int64_t D) {
  return 2.0 * static_cast<double>(s.accesses() * D);
}

Prepared forward(PathData& data, const AccessData& a, TableSize size) {
  const PathShape& s = data.shape();
  const Tensor values = data.table(size.N, size.D).values, weights = data.weights(),
               y = data.tokens(size.D);
  return {row_bytes(s, size.D), row_flops(s, size.D), [=, slots = a.slots] {
            kernels::weighted_bag_forward(
                {.y = y, .values = values, .slots = slots, .weights = weights});
          }};
}

Prepared backward_weights(PathData& data, const AccessData& a, TableSize size) {
  const PathShape& s = data.shape();
  const Tensor values = data.table(size.N, size.D).values, dweights = data.weights(),
               dy = data.tokens(size.D);
  return {row_bytes(s, size.D), row_flops(s, size.D), [=, slots = a.slots] {
            kernels::weighted_bag_backward_weights(
                {.dweights = {dweights}, .dy = dy, .values = values, .slots = slots});
          }};
}

// Minimum bytes: slots, weights and dy once, touched rows read and written.
Prepared added_rows(PathData& data, const AccessData& a, const Tensor& gradient) {
  const PathShape& s = data.shape();
  const std::int64_t D = gradient.size(1);
  const Tensor weights = data.weights(), dy = data.tokens(D);
  const double bytes = 8.0 * static_cast<double>(s.accesses()) +
                       4.0 * static_cast<double>((s.tokens + 2 * a.distinct) * D);
  return {bytes, row_flops(s, D), [=, slots = a.slots] {
            kernels::weighted_bag_backward_values(
                {.dvalues = {gradient, true}, .dy = dy, .slots = slots, .weights = weights});
          }};
}

Prepared sort(PathData& data, const AccessData& a, TableSize size) {
  return added_rows(data, a, Tensor::zeros({size.N, 1}, DType::f32, data.shape().device));
}

Prepared backward_values(PathData& data, const AccessData& a, TableSize size) {
  return added_rows(data, a, data.need(data.table(size.N, size.D), &TableData::gradient, false));
}

// Parameter and both moments read and written, the gradient read; the marks of all rows.
Prepared optimizer(PathData& data, const AccessData& a, TableSize size) {
  TableData& table = data.table(size.N, size.D);
  const Tensor gradient = data.need(table, &TableData::gradient, false);
  const Tensor first = data.need(table, &TableData::first_moment, true);
  const Tensor second = data.need(table, &TableData::second_moment, true);
  const auto elements = static_cast<double>(a.distinct * size.D);
  return {28.0 * elements + 2.0 * static_cast<double>(size.N), 15.0 * elements,
          [=, values = table.values, touched = a.touched, live = a.touched.clone()] {
            kernels::adamw({.parameter = values,
                            .first_moment = first,
                            .second_moment = second,
                            .gradient = gradient,
                            .touched = touched,
                            .live = live,
                            .gradient_scale = {},
                            .learning_rate = 1e-3f,
                            .step = 10});
          }};
}

}  // namespace

const std::vector<RowPart>& row_parts() {
  static const std::vector<RowPart> parts = {{"forward", 1, true, forward},
                                             {"backward_weights", 1, true, backward_weights},
                                             {"sort", 0, false, sort},
                                             {"backward_values", 2, true, backward_values},
                                             {"optimizer", 4, true, optimizer}};
  return parts;
}

}  // namespace slotwise::bench
