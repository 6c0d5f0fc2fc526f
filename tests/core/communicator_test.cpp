// How a tensor is divided among ranks.
#include "core/communicator.h"

#include <gtest/gtest.h>

#include <vector>

namespace slotwise {
namespace {

// Long sums go a piece of every rank's segment at a time: the pieces must cover all, none longer
// than the scratch allows.
TEST(Segments, PiecesCoverAllElementsOnce) {
  constexpr std::int64_t kMost = 7;
  for (const std::int64_t elements : {0, 1, 5, 100, 103}) {
    for (const int ranks : {1, 2, 3, 8}) {
      std::vector<int> times(static_cast<std::size_t>(elements));
      const std::int64_t longest = (elements + ranks - 1) / ranks;
      for (std::int64_t first = 0; first < longest; first += kMost) {
        for (int rank = 0; rank < ranks; ++rank) {
          const Segment piece = piece_of(segment_of(elements, rank, ranks), first, kMost);
          ASSERT_GE(piece.size(), 0);
          ASSERT_LE(piece.size(), kMost);
          for (std::int64_t i = piece.begin; i < piece.end; ++i) {
            ++times[static_cast<std::size_t>(i)];
          }
        }
      }
      EXPECT_EQ(times, std::vector<int>(times.size(), 1)) << elements << " over " << ranks;
    }
  }
}

}  // namespace
}  // namespace slotwise
