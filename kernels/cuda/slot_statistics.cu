// Counting uses integer atomics, whose result does not depend on their order. The list of touched
// slots keeps the CPU's order, first come, first listed: a slot that is new in this call first
// holds INT_MIN + (its first access) as the least of atomic minima, so its first access knows
// itself, and a stream compaction in the order of the accesses does the rest. Nothing passes over
// all N slots.
#include "kernels/slot_statistics.h"

#include <cub/block/block_scan.cuh>
#include <cub/device/device_radix_sort.cuh>
#include <cub/device/device_select.cuh>
#include <limits>

#include "kernels/cuda/score_order.cuh"
#include "kernels/cuda/workspace.cuh"

namespace slotwise::kernels::cuda {
namespace {

constexpr std::int32_t kFirstAccess = std::numeric_limits<std::int32_t>::min();

struct Accesses {
  const std::int32_t* slots;
  const std::uint8_t* valid;  // of the token, or null
  std::int64_t count, per_token, slot_count;

  __device__ bool counts(std::int64_t i) const { return valid == nullptr || valid[i / per_token]; }
};

// counts > 0 does not change in here, so the test cannot race with the minimum.
__global__ void find_first_accesses(std::int32_t* counts, Accesses accesses) {
  for (std::int64_t i = global_thread(); i < accesses.count; i += global_threads()) {
    if (!accesses.counts(i)) continue;
    const std::int32_t slot = accesses.slots[i];
    check_index("count_accesses", slot, accesses.slot_count);
    if (counts[slot] <= 0) atomicMin(counts + slot, kFirstAccess + static_cast<std::int32_t>(i));
  }
}

__global__ void flag_first_accesses(std::uint8_t* first, const std::int32_t* counts,
                                    Accesses accesses) {
  for (std::int64_t i = global_thread(); i < accesses.count; i += global_threads()) {
    first[i] = accesses.counts(i) &&
               counts[accesses.slots[i]] == kFirstAccess + static_cast<std::int32_t>(i);
  }
}

__global__ void begin_counts(std::int32_t* counts, const std::uint8_t* first, Accesses accesses) {
  for (std::int64_t i = global_thread(); i < accesses.count; i += global_threads()) {
    if (first[i] != 0) counts[accesses.slots[i]] = 0;
  }
}

__global__ void add_counts(std::int32_t* counts, Accesses accesses) {
  for (std::int64_t i = global_thread(); i < accesses.count; i += global_threads()) {
    if (accesses.counts(i)) atomicAdd(counts + accesses.slots[i], 1);
  }
}

// What does not fit is not written, but counted: reading the list then fails on the host.
__global__ void append_slots(std::int32_t* touched, std::int64_t capacity,
                             const std::int32_t* touched_count, const std::int32_t* fresh,
                             const std::int32_t* fresh_count) {
  const std::int64_t before = *touched_count, count = *fresh_count;
  for (std::int64_t i = global_thread(); i < count; i += global_threads()) {
    if (before + i < capacity) touched[before + i] = fresh[i];
  }
}

__global__ void add_fresh(std::int32_t* touched_count, const std::int32_t* fresh_count) {
  *touched_count += *fresh_count;
}

// A list with room for `room` slots, of which the first *count are there (all without a count).
struct SlotList {
  const std::int32_t* slots;
  const std::int32_t* count;
  std::int64_t room;

  SlotList(const Tensor& list, const Tensor& length)
      : slots(list.data<std::int32_t>()),
        count(optional_data<std::int32_t>(length)),
        room(list.elements()) {}
  __device__ std::int64_t length() const {
    return count == nullptr ? room : min(static_cast<std::int64_t>(*count), room);
  }
};

__global__ void score_touched(float* scores, SlotList list, const std::int32_t* counts,
                              const std::int32_t* df, const float* idf, std::int32_t most) {
  const std::int32_t* touched = list.slots;
  const std::int64_t count = list.length();
  for (std::int64_t a = global_thread(); a < count; a += global_threads()) {
    const auto accesses = static_cast<float>(counts[touched[a]]);
    scores[a] = df == nullptr ? accesses : accesses * idf[min(df[touched[a]], most)];
  }
}

// The score above, the slot counted down below: one integer comparison orders both. Behind the list
// stands 0, below every key of a slot, which slots_of_keys() reads as -1.
__global__ void make_keys(std::uint64_t* keys, const float* scores, SlotList list) {
  const std::int64_t count = list.length();
  for (std::int64_t a = global_thread(); a < list.room; a += global_threads()) {
    keys[a] = a < count ? static_cast<std::uint64_t>(score_order(scores[a])) << 32 |
                              (0xffffffffu - static_cast<std::uint32_t>(list.slots[a]))
                        : 0;
  }
}

__global__ void slots_of_keys(std::int32_t* slots, const std::uint64_t* keys, std::int64_t count) {
  for (std::int64_t i = global_thread(); i < count; i += global_threads()) {
    slots[i] = static_cast<std::int32_t>(0xffffffffu - static_cast<std::uint32_t>(keys[i]));
  }
}

__global__ void write_map(std::int32_t* map, const std::int32_t* slots, std::int64_t count,
                          bool clear) {
  for (std::int64_t i = global_thread(); i < count; i += global_threads()) {
    if (slots[i] >= 0) map[slots[i]] = clear ? -1 : static_cast<std::int32_t>(i);
  }
}

__global__ void zero_listed(std::int32_t* counts, SlotList list) {
  const std::int64_t count = list.length();
  for (std::int64_t i = global_thread(); i < count; i += global_threads()) {
    counts[list.slots[i]] = 0;
  }
}

__global__ void add_to_listed(std::int32_t* df, SlotList list, std::int32_t weight) {
  const std::int64_t count = list.length();
  for (std::int64_t i = global_thread(); i < count; i += global_threads()) {
    df[list.slots[i]] += weight;
  }
}

__global__ void mark_listed(std::uint8_t* marks, const std::int32_t* slots, std::int64_t count) {
  for (std::int64_t i = global_thread(); i < count; i += global_threads()) {
    if (slots[i] >= 0) marks[slots[i]] = 1;
  }
}

// One block, a stretch of the list at a time: the new slots of a stretch are numbered in its order
// by a scan over the block.
__global__ void __launch_bounds__(kBlock)
    number_listed(std::int32_t* numbers, std::int32_t* map, std::int32_t* slot_of,
                  std::int32_t* used, std::int64_t capacity, const std::int32_t* slots,
                  std::int64_t count) {
  using Scan = cub::BlockScan<int, kBlock>;
  __shared__ typename Scan::TempStorage scratch;
  int before = *used;
  for (std::int64_t first = 0; first < count; first += kBlock) {
    const std::int64_t i = first + threadIdx.x;
    const std::int32_t slot = i < count ? slots[i] : -1;
    std::int32_t number = slot >= 0 ? map[slot] : -1;
    const bool fresh = slot >= 0 && number < 0;
    int place = 0, all = 0;
    Scan(scratch).ExclusiveSum(fresh ? 1 : 0, place, all);
    if (fresh) {
      number = before + place;
      check_index("number_slots", number, capacity);
      slot_of[number] = slot;
      map[slot] = number;
    }
    if (i < count) numbers[i] = number;
    before += all;
    __syncthreads();  // the scan's memory is used again
  }
  if (threadIdx.x == 0) *used = before;
}

std::uint64_t* keys_of(const Tensor& tensor) {
  return reinterpret_cast<std::uint64_t*>(tensor.data<std::int64_t>());
}

}  // namespace

void count_accesses(const CountAccesses& args) {
  const char* op = "count_accesses";
  const std::int64_t count = args.slots.elements();
  if (count == 0) return;
  SLOTWISE_CHECK(count <= std::numeric_limits<std::int32_t>::max(),
                 "[{}] expected at most 2^31 - 1 accesses a call, got {}: split the tokens", op,
                 count);
  const Device device = args.slots.device();
  const cudaStream_t queue = stream(device);
  const unsigned grid = grid_for(count);
  std::int32_t* counts = args.counts.data<std::int32_t>();
  std::int32_t* touched_count = args.touched_count.data<std::int32_t>();
  const Accesses accesses{args.slots.data<std::int32_t>(), optional_data<std::uint8_t>(args.valid),
                          count, args.slots.size(1), args.counts.elements()};
  const Tensor first = Tensor::empty({count}, DType::u8, device, "first accesses");
  const Tensor fresh = Tensor::empty({count}, DType::i32, device, "newly touched slots");
  const Tensor fresh_count = Tensor::empty({1}, DType::i32, device, "newly touched slots");
  std::uint8_t* flags = first.data<std::uint8_t>();
  find_first_accesses<<<grid, kBlock, 0, queue>>>(counts, accesses);
  SLOTWISE_CUDA_LAUNCHED(op);
  flag_first_accesses<<<grid, kBlock, 0, queue>>>(flags, counts, accesses);
  SLOTWISE_CUDA_LAUNCHED(op);
  begin_counts<<<grid, kBlock, 0, queue>>>(counts, flags, accesses);
  SLOTWISE_CUDA_LAUNCHED(op);
  add_counts<<<grid, kBlock, 0, queue>>>(counts, accesses);
  SLOTWISE_CUDA_LAUNCHED(op);
  with_workspace(op, device, "slot list", [&](void* scratch, std::size_t& bytes) {
    return cub::DeviceSelect::Flagged(scratch, bytes, accesses.slots, flags,
                                      fresh.data<std::int32_t>(), fresh_count.data<std::int32_t>(),
                                      static_cast<int>(count), queue);
  });
  append_slots<<<grid, kBlock, 0, queue>>>(
      args.touched.data<std::int32_t>(), args.touched.elements(), touched_count,
      fresh.data<std::int32_t>(), fresh_count.data<std::int32_t>());
  SLOTWISE_CUDA_LAUNCHED(op);
  add_fresh<<<1, 1, 0, queue>>>(touched_count, fresh_count.data<std::int32_t>());
  SLOTWISE_CUDA_LAUNCHED(op);
}

void score_slots(const ScoreSlots& args) {
  const std::int64_t count = args.touched.elements();
  if (count == 0) return;
  score_touched<<<grid_for(count), kBlock, 0, stream(args.touched)>>>(
      args.scores.data<float>(), SlotList(args.touched, args.touched_count),
      args.counts.data<std::int32_t>(), optional_data<std::int32_t>(args.df),
      optional_data<float>(args.idf),
      args.idf.defined() ? static_cast<std::int32_t>(args.idf.elements() - 1) : 0);
  SLOTWISE_CUDA_LAUNCHED("score_slots");
}

// The keys of slots are distinct, so a full sort has one result; the first t are sorted again by
// slot, as unsigned numbers, so that -1 stands last.
void top_slots(const TopSlots& args) {
  const char* op = "top_slots";
  const std::int64_t accessed = args.touched.elements(), t = args.selected.elements();
  if (t == 0) return;
  const Device device = args.touched.device();
  const cudaStream_t queue = stream(device);
  const Tensor keys = Tensor::empty({accessed}, DType::i64, device, "top slots");
  const Tensor sorted = Tensor::empty({accessed}, DType::i64, device, "top slots");
  const Tensor best = Tensor::empty({t}, DType::i32, device, "top slots");
  make_keys<<<grid_for(accessed), kBlock, 0, queue>>>(keys_of(keys), args.scores.data<float>(),
                                                      SlotList(args.touched, args.touched_count));
  SLOTWISE_CUDA_LAUNCHED(op);
  with_workspace(op, device, "top slots sort", [&](void* scratch, std::size_t& bytes) {
    return cub::DeviceRadixSort::SortKeysDescending(scratch, bytes, keys_of(keys), keys_of(sorted),
                                                    static_cast<int>(accessed), 0, 64, queue);
  });
  slots_of_keys<<<grid_for(t), kBlock, 0, queue>>>(best.data<std::int32_t>(), keys_of(sorted), t);
  SLOTWISE_CUDA_LAUNCHED(op);
  with_workspace(op, device, "top slots sort", [&](void* scratch, std::size_t& bytes) {
    return cub::DeviceRadixSort::SortKeys(
        scratch, bytes, reinterpret_cast<std::uint32_t*>(best.data<std::int32_t>()),
        reinterpret_cast<std::uint32_t*>(args.selected.data<std::int32_t>()), static_cast<int>(t),
        0, 32, queue);
  });
}

void map_slots(const MapSlots& args) {
  const std::int64_t count = args.slots.elements();
  if (count == 0) return;
  write_map<<<grid_for(count), kBlock, 0, stream(args.map)>>>(
      args.map.data<std::int32_t>(), args.slots.data<std::int32_t>(), count, args.clear);
  SLOTWISE_CUDA_LAUNCHED("map_slots");
}

void clear_counts(const ClearCounts& args) {
  const std::int64_t count = args.slots.elements();
  if (count == 0) return;
  zero_listed<<<grid_for(count), kBlock, 0, stream(args.counts)>>>(
      args.counts.data<std::int32_t>(), SlotList(args.slots, args.slot_count));
  SLOTWISE_CUDA_LAUNCHED("clear_counts");
}

void add_document(const AddDocument& args) {
  const std::int64_t count = args.slots.elements();
  if (count == 0) return;
  add_to_listed<<<grid_for(count), kBlock, 0, stream(args.df)>>>(
      args.df.data<std::int32_t>(), SlotList(args.slots, args.slot_count), args.weight);
  SLOTWISE_CUDA_LAUNCHED("add_document");
}

void mark_slots(const MarkSlots& args) {
  const std::int64_t count = args.slots.elements();
  if (count == 0) return;
  mark_listed<<<grid_for(count), kBlock, 0, stream(args.marks)>>>(
      args.marks.data<std::uint8_t>(), args.slots.data<std::int32_t>(), count);
  SLOTWISE_CUDA_LAUNCHED("mark_slots");
}

void number_slots(const NumberSlots& args) {
  const std::int64_t count = args.slots.elements();
  if (count == 0) return;
  number_listed<<<1, kBlock, 0, stream(args.map)>>>(
      args.numbers.data<std::int32_t>(), args.map.data<std::int32_t>(),
      args.slot_of.data<std::int32_t>(), args.used.data<std::int32_t>(), args.slot_of.elements(),
      args.slots.data<std::int32_t>(), count);
  SLOTWISE_CUDA_LAUNCHED("number_slots");
}

}  // namespace slotwise::kernels::cuda
