// The memory layer's path as benchmarks, on the CPU or a GPU: one line for each part, table, kind
// of reads and state of the caches.
//   path/<part>/<uniform|zipf|recorded>/<warm|cold>/slots:N/d_v:D
//     forward            the weighted bag
//     backward_weights   the gradient of its weights
//     sort               sorting the accesses by slot: the next part with rows of one column
//     backward_values    the sorted gradient of its rows, added to a dense one
//     optimizer          AdamW over the rows that the reads touch (pretraining)
//   scores/<part>/slots:N
//     score_gemm         the half scores' products alone
//     select             top-k of given half scores
//     lookup             scores, selection and softmax as one op;   lookup_backward
//   sparse_step/<part>/slots:N/d_v:D
//     count, rank, reduce, row_adam, all   the step that changes 500 rows
// Warm: the same part has run just before. Cold: a buffer larger than every cache was read before.
#pragma once

#include <memory>

#include "bench/memory_path_data.h"

namespace slotwise::bench {

struct PathPlan {
  std::vector<std::int64_t> log2_slots, widths;
  std::vector<Reads> reads;
  int rounds = 11;
  double memory_bytes = 0;  // that the benchmarks may use
};

// Registers what fits; returns the names of what does not, each with the reason.
std::vector<std::string> register_path(const std::shared_ptr<PathData>& data, const PathPlan& plan);

}  // namespace slotwise::bench
