// Counting accesses and ranking slots (SMF section 3). Nothing here passes over all N slots but the
// making of the tensors: counts are cleared by the list of touched slots.
// A list `touched` [A] may come with its length `touched_count` [1] i32, on the device: then only
// its first *touched_count slots are read, and the host need not know how many there are.
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
// absent: TF only. idf: [|B| + 1] f32, made once on the host; df: [N] i32, at least 0, and above
// |B| as |B|. Scores past the length of the list are left as they are.
struct ScoreSlots {
  Tensor scores;   // [A]
  Tensor touched;  // [A] i32
  Tensor counts;
  Tensor df, idf;             // optional
  Tensor touched_count = {};  // optional
};
SLOTWISE_OP(score_slots, ScoreSlots)

// selected [t] i32, ascending: the t slots with the highest score, ties to the lower slot; t <= A.
// NaN loses. Where the list is shorter than t, -1 stands behind its slots.
struct TopSlots {
  Tensor selected;
  Tensor touched;
  Tensor scores;
  Tensor touched_count = {};  // optional
};
SLOTWISE_OP(top_slots, TopSlots)

// map[slots[i]] = i, or -1 for all of them with `clear`. map: [N] i32. Slots of -1 are passed over.
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
  Tensor slot_count = {};  // [1] i32, optional: as touched_count
};
SLOTWISE_OP(clear_counts, ClearCounts)

// df[s] += weight for each of the listed slots (they are distinct).
struct AddDocument {
  Tensor df;
  Tensor slots;
  std::int32_t weight = 1;
  Tensor slot_count = {};  // [1] i32, optional: as touched_count
};
SLOTWISE_OP(add_document, AddDocument)

// marks[slots[i]] = 1. marks: [N] u8. Slots of -1 are passed over.
struct MarkSlots {
  Tensor marks;
  Tensor slots;
};
SLOTWISE_OP(mark_slots, MarkSlots)

// Numbers slots in the order in which they first come: numbers[i] = map[slots[i]], and a slot that
// has no number yet (-1) takes *used, which then grows by one, and is entered in slot_of. -1 for a
// slot of -1. map: [N] i32; slot_of: [capacity] i32 with room for all; used: [1] i32.
struct NumberSlots {
  Tensor numbers;  // [t] i32
  Tensor map, slot_of, used;
  Tensor slots;  // [t] i32, distinct
};
SLOTWISE_OP(number_slots, NumberSlots)

}  // namespace slotwise::kernels
