#include "kernels/cpu/row_reduction.h"

#include <bit>
#include <utility>

#include "kernels/cpu/weighted_rows.h"

namespace slotwise::kernels::cpu {
namespace {

constexpr std::int64_t kPieceTerms = 1024;
constexpr int kMostDigitBits = 11;
constexpr std::int64_t kSortGrain = 8192;

// Sorted terms [begin, end) of one row; partial >= 0: they go to that partial sum instead.
struct Piece {
  std::int64_t begin, end;
  std::int64_t row;
  std::int64_t partial;
};

struct SplitRow {
  std::int64_t row;
  std::int64_t first_partial, partials;
};

struct Plan {
  std::vector<Piece> pieces;  // by begin, so also by row
  std::vector<SplitRow> split_rows;
  std::int64_t partials = 0;
};

void sort_by_digit(const RowTerm* from, RowTerm* to, std::int64_t count, int shift, int bits) {
  const std::size_t bins = std::size_t{1} << bits;
  const std::uint32_t mask = static_cast<std::uint32_t>(bins - 1);
  const auto parts = static_cast<std::size_t>(thread_count());
  std::vector<std::int64_t> offsets(parts * bins, 0);
  parallel_for(count, kSortGrain, [&](std::int64_t begin, std::int64_t end, int part) {
    std::int64_t* mine = offsets.data() + static_cast<std::size_t>(part) * bins;
    for (std::int64_t i = begin; i < end; ++i) ++mine[(from[i].row >> shift) & mask];
  });
  std::int64_t next = 0;
  for (std::size_t bin = 0; bin < bins; ++bin) {
    for (std::size_t part = 0; part < parts; ++part) {
      const std::int64_t here = offsets[part * bins + bin];
      offsets[part * bins + bin] = next;
      next += here;
    }
  }
  parallel_for(count, kSortGrain, [&](std::int64_t begin, std::int64_t end, int part) {
    std::int64_t* mine = offsets.data() + static_cast<std::size_t>(part) * bins;
    for (std::int64_t i = begin; i < end; ++i) {
      to[mine[(from[i].row >> shift) & mask]++] = from[i];
    }
  });
}

// Returns where the sorted terms lie: `terms` or `other`.
const RowTerm* sort_by_row(RowTerm* terms, RowTerm* other, std::int64_t count, std::int64_t rows) {
  const int bits = std::bit_width(static_cast<std::uint64_t>(std::max<std::int64_t>(rows, 1) - 1));
  const int passes = (bits + kMostDigitBits - 1) / kMostDigitBits;
  for (int pass = 0; pass < passes; ++pass) {
    const int shift = bits * pass / passes;
    sort_by_digit(terms, other, count, shift, bits * (pass + 1) / passes - shift);
    std::swap(terms, other);
  }
  return terms;
}

Plan plan_pieces(const RowTerm* terms, std::int64_t count) {
  Plan plan;
  for (std::int64_t begin = 0, end = 0; begin < count; begin = end) {
    const std::uint32_t row = terms[begin].row;
    for (end = begin + 1; end < count && terms[end].row == row;) ++end;
    if (end - begin <= kPieceTerms) {
      plan.pieces.push_back({begin, end, row, -1});
      continue;
    }
    const std::int64_t partials = (end - begin + kPieceTerms - 1) / kPieceTerms;
    plan.split_rows.push_back({row, plan.partials, partials});
    for (std::int64_t at = begin; at < end; at += kPieceTerms) {
      plan.pieces.push_back({at, std::min(at + kPieceTerms, end), row, plan.partials++});
    }
  }
  return plan;
}

void zero_untouched_rows(const Plan& plan, float* out, std::int64_t rows, std::int64_t D) {
  const auto below = [](const Piece& piece, std::int64_t row) { return piece.row < row; };
  const std::int64_t grain = std::max<std::int64_t>(1, 65536 / std::max<std::int64_t>(D, 1));
  parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end, int) {
    auto piece = std::lower_bound(plan.pieces.begin(), plan.pieces.end(), begin, below);
    for (std::int64_t row = begin; row < end;) {
      const std::int64_t stop = piece == plan.pieces.end() ? end : std::min(piece->row, end);
      std::fill(out + row * D, out + stop * D, 0.0f);
      for (row = stop + 1; piece != plan.pieces.end() && piece->row == stop;) ++piece;
    }
  });
}

// Where sums of rows go, and which rows hold something that is added to.
struct Rows {
  float* sums;
  bool accumulate;
  std::uint8_t* touched;  // null: all alike

  // Asked once a row, by its owner, before the row is written.
  bool adds_to(std::int64_t row) const {
    if (touched == nullptr) return accumulate;
    return std::exchange(touched[row], std::uint8_t{1}) != 0;
  }
};

void sum_pieces(const Plan& plan, const RowTerm* terms, std::int64_t count, const float* sources,
                std::int64_t D, const Rows& out, float* partial_sums) {
  constexpr std::int64_t kAhead = 12;
  const auto source_of = [=](const RowTerm& term) {
    return sources + static_cast<std::int64_t>(term.source) * D;
  };
  const auto below = [](const Piece& piece, std::int64_t begin) { return piece.begin < begin; };
  const std::int64_t grain = std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(D, 1));
  parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end, int) {
    auto piece = std::lower_bound(plan.pieces.begin(), plan.pieces.end(), begin, below);
    for (; piece != plan.pieces.end() && piece->begin < end; ++piece) {
      const RowTerm* mine = terms + piece->begin;
      const bool whole = piece->partial < 0;
      float* sum = whole ? out.sums + piece->row * D : partial_sums + piece->partial * D;
      sum_rows(
          sum, D, piece->end - piece->begin, whole && out.adds_to(piece->row),
          [&](std::int64_t i) { return source_of(mine[i]); },
          [&](std::int64_t i) { return mine[i].weight; },
          [&](std::int64_t i) {
            return source_of(terms[std::min(piece->begin + i + kAhead, count - 1)]);
          });
    }
  });
}

void add_partial_sums(const Plan& plan, const float* partial_sums, std::int64_t D,
                      const Rows& out) {
  const auto split_rows = static_cast<std::int64_t>(plan.split_rows.size());
  parallel_for(split_rows, 1, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t at = begin; at < end; ++at) {
      const SplitRow& split = plan.split_rows[static_cast<std::size_t>(at)];
      const float* first = partial_sums + split.first_partial * D;
      sum_rows(
          out.sums + split.row * D, D, split.partials, out.adds_to(split.row),
          [&](std::int64_t i) { return first + i * D; }, [](std::int64_t) { return 1.0f; },
          [&](std::int64_t i) { return first + i * D; });
    }
  });
}

}  // namespace

void reduce_rows(const RowTerms& terms, const float* sources, const Sink& out,
                 std::uint8_t* touched) {
  const std::int64_t count = terms.count();
  const std::int64_t rows = out.tensor.size(0), D = out.tensor.size(1);
  const Scratch<RowTerm> other(count, "row terms sorted");
  const RowTerm* sorted = sort_by_row(terms.data(), other.data(), count, rows);
  const Plan plan = plan_pieces(sorted, count);
  const Scratch<float> partial_sums(plan.partials * D, "row partial sums");
  const Rows to{out.tensor.data<float>(), out.accumulate, touched};
  if (!out.accumulate) zero_untouched_rows(plan, to.sums, rows, D);
  sum_pieces(plan, sorted, count, sources, D, to, partial_sums.data());
  add_partial_sums(plan, partial_sums.data(), D, to);
}

}  // namespace slotwise::kernels::cpu
