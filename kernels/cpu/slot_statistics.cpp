// Sequential but for the scores: these lists are short beside the rows that their slots stand for,
// and "first come, first listed" is an order of one thread.
#include "kernels/slot_statistics.h"

#include <algorithm>
#include <functional>

#include "core/parallel.h"
#include "kernels/cpu/score_order.h"
#include "kernels/cpu/scratch.h"

namespace slotwise::kernels::cpu {
namespace {

std::int64_t length_of(const Tensor& list, const Tensor& count) {
  return count.defined() ? std::min<std::int64_t>(count.data<std::int32_t>()[0], list.elements())
                         : list.elements();
}

}  // namespace

void count_accesses(const CountAccesses& args) {
  const std::int64_t M = args.slots.size(0), J = args.slots.size(1);
  const std::int32_t* slots = args.slots.data<std::int32_t>();
  const std::uint8_t* valid = args.valid.defined() ? args.valid.data<std::uint8_t>() : nullptr;
  std::int32_t* counts = args.counts.data<std::int32_t>();
  std::int32_t* touched = args.touched.data<std::int32_t>();
  const std::int64_t capacity = args.touched.elements();
  std::int32_t& touched_count = *args.touched_count.data<std::int32_t>();
  for (std::int64_t m = 0; m < M; ++m) {
    if (valid != nullptr && valid[m] == 0) continue;
    for (std::int64_t access = m * J; access < (m + 1) * J; ++access) {
      const std::int32_t slot = slots[access];
      if (counts[slot]++ != 0) continue;
      SLOTWISE_CHECK(touched_count < capacity,
                     "[count_accesses] the list of touched slots is full at {}", capacity);
      touched[touched_count++] = slot;
    }
  }
}

void score_slots(const ScoreSlots& args) {
  const std::int32_t* touched = args.touched.data<std::int32_t>();
  const std::int32_t* counts = args.counts.data<std::int32_t>();
  const bool weighted = args.df.defined();
  const std::int32_t* df = weighted ? args.df.data<std::int32_t>() : nullptr;
  const float* idf = weighted ? args.idf.data<float>() : nullptr;
  const auto most = weighted ? static_cast<std::int32_t>(args.idf.elements() - 1) : 0;
  float* scores = args.scores.data<float>();
  parallel_for(length_of(args.touched, args.touched_count), 8192,
               [&](std::int64_t begin, std::int64_t end, int) {
                 for (std::int64_t a = begin; a < end; ++a) {
                   const auto count = static_cast<float>(counts[touched[a]]);
                   scores[a] = weighted ? count * idf[std::min(df[touched[a]], most)] : count;
                 }
               });
}

void top_slots(const TopSlots& args) {
  const std::int64_t accessed = length_of(args.touched, args.touched_count);
  const std::int64_t t = std::min(args.selected.elements(), accessed);
  std::int32_t* selected = args.selected.data<std::int32_t>();
  std::fill(selected + t, selected + args.selected.elements(), -1);
  if (t == 0) return;
  const std::int32_t* touched = args.touched.data<std::int32_t>();
  const float* scores = args.scores.data<float>();
  // The score above, the slot counted down below: one integer comparison orders both.
  const Scratch<std::uint64_t> keys(accessed, "top slots");
  std::uint64_t* key = keys.data();
  parallel_for(accessed, 8192, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t a = begin; a < end; ++a) {
      key[a] = std::uint64_t{score_order(scores[a])} << 32 |
               (0xffffffffu - static_cast<std::uint32_t>(touched[a]));
    }
  });
  std::nth_element(key, key + (t - 1), key + accessed, std::greater<std::uint64_t>());
  for (std::int64_t i = 0; i < t; ++i) {
    selected[i] = static_cast<std::int32_t>(0xffffffffu - static_cast<std::uint32_t>(key[i]));
  }
  std::sort(selected, selected + t);
}

void map_slots(const MapSlots& args) {
  std::int32_t* map = args.map.data<std::int32_t>();
  const std::int32_t* slots = args.slots.data<std::int32_t>();
  const auto count = static_cast<std::int32_t>(args.slots.elements());
  for (std::int32_t i = 0; i < count; ++i) {
    if (slots[i] >= 0) map[slots[i]] = args.clear ? -1 : i;
  }
}

void clear_counts(const ClearCounts& args) {
  std::int32_t* counts = args.counts.data<std::int32_t>();
  const std::int32_t* slots = args.slots.data<std::int32_t>();
  const std::int64_t count = length_of(args.slots, args.slot_count);
  for (std::int64_t i = 0; i < count; ++i) counts[slots[i]] = 0;
}

void add_document(const AddDocument& args) {
  std::int32_t* df = args.df.data<std::int32_t>();
  const std::int32_t* slots = args.slots.data<std::int32_t>();
  const std::int64_t count = length_of(args.slots, args.slot_count);
  for (std::int64_t i = 0; i < count; ++i) df[slots[i]] += args.weight;
}

void mark_slots(const MarkSlots& args) {
  std::uint8_t* marks = args.marks.data<std::uint8_t>();
  for (const std::int32_t slot : args.slots.span<std::int32_t>()) {
    if (slot >= 0) marks[slot] = 1;
  }
}

void number_slots(const NumberSlots& args) {
  std::int32_t* map = args.map.data<std::int32_t>();
  std::int32_t* slot_of = args.slot_of.data<std::int32_t>();
  std::int32_t& used = args.used.data<std::int32_t>()[0];
  std::int32_t* number = args.numbers.data<std::int32_t>();
  for (const std::int32_t slot : args.slots.span<std::int32_t>()) {
    *number = -1;
    if (slot >= 0) {
      if (map[slot] < 0) {
        SLOTWISE_CHECK(used < args.slot_of.elements(), "[number_slots] the list is full at {}",
                       used);
        slot_of[used] = slot;
        map[slot] = used++;
      }
      *number = map[slot];
    }
    ++number;
  }
}

}  // namespace slotwise::kernels::cpu
