// The step that changes some rows of the table: count the reads, rank the slots that were read,
// reduce the chosen rows' gradient, row Adam. Each part leaves the state as it found it, so that it
// can be timed alone and again.
#include "bench/memory_parts.h"
#include "kernels/row_optimizer.h"
#include "kernels/slot_statistics.h"
#include "kernels/weighted_bag.h"

namespace slotwise::bench {
namespace {

// Clears what the last step counted, by its list.
void count(const SparseStepData& s) {
  kernels::clear_counts({.counts = s.counts, .slots = s.touched, .slot_count = s.touched_count});
  s.touched_count.zero();
  kernels::count_accesses({.counts = s.counts,
                           .touched = s.touched,
                           .touched_count = s.touched_count,
                           .slots = s.slots,
                           .valid = {}});
}

void rank(const SparseStepData& s) {
  kernels::score_slots({.scores = s.scores,
                        .touched = s.touched,
                        .counts = s.counts,
                        .df = s.df,
                        .idf = s.idf,
                        .touched_count = s.touched_count});
  kernels::top_slots({.selected = s.selected,
                      .touched = s.touched,
                      .scores = s.scores,
                      .touched_count = s.touched_count});
}

void reduce(const SparseStepData& s) {
  kernels::map_slots({.map = s.row_of_slot, .slots = s.selected});
  kernels::selected_row_gradient({.gradient = {s.gradient},
                                  .dy = s.dy,
                                  .slots = s.slots,
                                  .weights = s.weights,
                                  .row_of_slot = s.row_of_slot});
  kernels::map_slots({.map = s.row_of_slot, .slots = s.selected, .clear = true});
}

void update(const SparseStepData& s, const Tensor& values) {
  kernels::row_adam({.values = values,
                     .first_moment = s.first_moment,
                     .second_moment = s.second_moment,
                     .steps = s.steps,
                     .rows = s.selected,
                     .state_row = s.state_row,
                     .gradient = s.gradient,
                     .learning_rate = 1e-3f});
}

// After one step, as it would go on.
SparseStepData prepared(PathData& data, TableSize size) {
  const SparseStepData s = data.sparse_step(size.N, size.D);
  count(s);
  rank(s);
  reduce(s);
  return s;
}

// Slots once, and each of the read slots' counts, twice; at most as many as there are reads.
double count_bytes(const PathShape& s) {
  return 4.0 * static_cast<double>(s.accesses()) +
         16.0 * static_cast<double>(std::min<std::int64_t>(s.accesses(), kReadSlots));
}
// Per listed slot: itself, count, df and idf, score.
double rank_bytes(const PathShape& s) {
  return 20.0 * static_cast<double>(std::min<std::int64_t>(s.accesses(), kReadSlots));
}
// Slots, weights and rows of slots; dy and the result.
double reduce_bytes(const PathShape& s, std::int64_t D) {
  return 12.0 * static_cast<double>(s.accesses()) +
         4.0 * static_cast<double>((s.tokens + s.chosen) * D);
}
double update_bytes(const PathShape& s, std::int64_t D) {
  return 28.0 * static_cast<double>(s.chosen * D);
}
double update_flops(const PathShape& s, std::int64_t D) {
  return 15.0 * static_cast<double>(s.chosen * D);
}

Prepared count_part(PathData& data, TableSize size) {
  return {count_bytes(data.shape()), 0.0, [s = prepared(data, size)] { count(s); }};
}

Prepared rank_part(PathData& data, TableSize size) {
  return {rank_bytes(data.shape()), 0.0, [s = prepared(data, size)] { rank(s); }};
}

Prepared reduce_part(PathData& data, TableSize size) {
  return {reduce_bytes(data.shape(), size.D), 0.0, [s = prepared(data, size)] { reduce(s); }};
}

Prepared update_part(PathData& data, TableSize size) {
  return {update_bytes(data.shape(), size.D), update_flops(data.shape(), size.D),
          [s = prepared(data, size), values = data.table(size.N, size.D).values] {
            update(s, values);
          }};
}

Prepared all(PathData& data, TableSize size) {
  const PathShape& shape = data.shape();
  const double bytes = count_bytes(shape) + rank_bytes(shape) + reduce_bytes(shape, size.D) +
                       update_bytes(shape, size.D);
  return {bytes, update_flops(shape, size.D),
          [s = prepared(data, size), values = data.table(size.N, size.D).values] {
            count(s);
            rank(s);
            reduce(s);
            update(s, values);
          }};
}

}  // namespace

const std::vector<SparsePart>& sparse_parts() {
  static const std::vector<SparsePart> parts = {{"count", false, count_part},
                                                {"rank", false, rank_part},
                                                {"reduce", true, reduce_part},
                                                {"row_adam", true, update_part},
                                                {"all", true, all}};
  return parts;
}

}  // namespace slotwise::bench
