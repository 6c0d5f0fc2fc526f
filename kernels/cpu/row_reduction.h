// Sums of weighted source rows into the rows of a table, the backward of every gather:
//   out[term.row] (+)= sum over the terms of that row of term.weight * sources[term.source].
// The terms are radix-sorted by row (stable), each row's run has one owner and is summed in the
// order of the terms; runs longer than kPieceTerms are cut into pieces whose partial sums are added
// in order. Nothing of this depends on the number of threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/parallel.h"
#include "kernels/cpu/scratch.h"

namespace slotwise::kernels::cpu {

struct RowTerm {
  std::uint32_t row;
  std::uint32_t source;
  float weight;
};

// A list of terms made in parallel, in the order of the items.
class RowTerms {
 public:
  // make(begin, end, out) writes the terms of items [begin, end), at most most_per_item for each,
  // and returns how many. items * most_per_item < 2^32.
  template <class Make>
  RowTerms(std::int64_t items, std::int64_t most_per_item, Make&& make)
      : terms_(items * most_per_item, "row terms") {
    struct Run {
      std::int64_t first = 0, count = 0;
    };
    std::vector<Run> runs(static_cast<std::size_t>(thread_count()));
    parallel_for(items, 256, [&](std::int64_t begin, std::int64_t end, int part) {
      const std::int64_t first = begin * most_per_item;
      runs[static_cast<std::size_t>(part)] = {first, make(begin, end, terms_.data() + first)};
    });
    for (const Run& run : runs) {  // each run moves to the left or stays
      std::copy(terms_.data() + run.first, terms_.data() + run.first + run.count,
                terms_.data() + count_);
      count_ += run.count;
    }
  }

  RowTerm* data() const { return terms_.data(); }
  std::int64_t count() const { return count_; }

 private:
  Scratch<RowTerm> terms_;
  std::int64_t count_ = 0;
};

// out: [rows, D] f32; sources: rows of D. Reorders the terms. touched [rows], optional: see
// WeightedBagBackwardValues.
void reduce_rows(const RowTerms& terms, const float* sources, const Sink& out,
                 std::uint8_t* touched = nullptr);

}  // namespace slotwise::kernels::cpu
