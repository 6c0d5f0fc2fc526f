// Counting accesses and ranking slots (SMF section 3). Nothing here passes over all N slots but the
// making of the tensors: counts are cleared by the list of touched slots.
#pragma once

#include "kernels/dispatch.h"

namespace slotwise::kernels {

// counts[slot] += 1 for every access of a valid token. touched [capacity] i32 lists the slots whose
// count is not 0 (first come, first listed), touched_count [1] i32 says how many. capacity >=
// min(N, accesses). slots: [M, J] i32; valid: [M] u8, optional.
struct CountAccesses {
  Tensor counts;         // [N] i32
  Tensor touched;        // i32
  Tensor touched_count;  // [1] i32
  Tensor slots;
  Tensor valid;
};
SLOTWISE_OP(count_accesses, CountAccesses)

// scores[a] = float(counts[touched[a]]) * idf[df[touched[a]]] (one fp32 product); df and idf both
// absent: TF only. idf: [|B| + 1] f32, made once on the host; df: [N] i32 in 0..|B|.
struct ScoreSlots {
  Tensor scores;   // [A]
  Tensor touched;  // [A] i32
  Tensor counts;
  Tensor df, idf;  // optional
};
SLOTWISE_OP(score_slots, ScoreSlots)

// selected [t] i32, ascending: the t slots with the highest score, ties to the lower slot; t <= A.
// NaN loses.
struct TopSlots {
  Tensor selected;
  Tensor touched;
  Tensor scores;
};
SLOTWISE_OP(top_slots, TopSlots)

// map[slots[i]] = i, or -1 for all of them with `clear`. map: [N] i32.
struct MapSlots {
  Tensor map;
  Tensor slots;
  bool clear = false;
};
SLOTWISE_OP(map_slots, MapSlots)

// counts[slots[i]] = 0.
struct ClearCounts {
  Tensor counts;
  Tensor slots;
};
SLOTWISE_OP(clear_counts, ClearCounts)

// df[s] += weight for each of the listed slots (they are distinct).
struct AddDocument {
  Tensor df;
  Tensor slots;
  std::int32_t weight = 1;
};
SLOTWISE_OP(add_document, AddDocument)

}  // namespace slotwise::kernels
