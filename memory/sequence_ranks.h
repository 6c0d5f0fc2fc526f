// Selection per sequence, united (see RankingOptions::per_sequence): keeps what each sequence of a
// batch read, then lets the sequences name slots in turn. On the host: lists of a few hundred
// slots.
#pragma once

#include <utility>

#include "memory/ranked_table.h"

namespace slotwise {

class SequenceRanks {
 public:
  void add(const Access& access);
  // Takes over what the sequences of the other ranks read.
  void share(Communicator& group);

  // The slots named first, at most `count`, ascending, on the device of `touched`; forgets the
  // batch. scores: [A], of the whole batch, by which the last round is cut (then the lower slot).
  Tensor take(const RankedTable& table, const Tensor& touched, const Tensor& scores,
              std::int64_t count);

 private:
  // Of one sequence: slot and count, ascending by slot.
  using Reads = std::vector<std::pair<std::int32_t, std::int32_t>>;
  std::vector<Reads> sequences_;
};

}  // namespace slotwise
