#include "memory/access_counter.h"

#include <algorithm>

#include "kernels/slot_statistics.h"

namespace slotwise {

AccessCounter::AccessCounter(std::int64_t slots, Device device)
    : counts_(Tensor::zeros({slots}, DType::i32, device, "slot counts")),
      touched_(Tensor::empty({slots}, DType::i32, device, "slot counts")),
      touched_count_(Tensor::zeros({1}, DType::i32, device, "slot counts")) {}

void AccessCounter::add(const Tensor& slots, const Tensor& valid) {
  kernels::count_accesses({.counts = counts_,
                           .touched = touched_,
                           .touched_count = touched_count_,
                           .slots = slots,
                           .valid = valid});
  accesses_ += slots.elements();
}

void AccessCounter::share(Communicator& group) {
  if (group.size() == 1) return;
  const Tensor own = touched();
  const Tensor counts = Tensor::empty(own.shape(), DType::f32, own.device(), "slot counts");
  kernels::score_slots({.scores = counts, .touched = own, .counts = counts_});
  std::vector<std::int32_t> pairs = own.to_vector<std::int32_t>();
  for (const float each : counts.to_vector<float>()) {
    pairs.push_back(static_cast<std::int32_t>(each));
  }
  const Tensor accesses = Tensor::from<std::int64_t>({accesses_}, {1});
  group.all_reduce_sum(accesses);
  const auto size = static_cast<std::int64_t>(pairs.size());
  const std::vector<Tensor> all = group.all_gather(Tensor::from(pairs, {size}));
  std::vector<std::int32_t> others;  // a slot as often as it was read
  for (int rank = 0; rank < group.size(); ++rank) {
    if (rank == group.rank()) continue;
    const auto theirs = all[static_cast<std::size_t>(rank)].span<std::int32_t>();
    const std::size_t half = theirs.size() / 2;
    for (std::size_t i = 0; i < half; ++i) {
      others.insert(others.end(), static_cast<std::size_t>(theirs[half + i]), theirs[i]);
    }
  }
  const auto reads = static_cast<std::int64_t>(others.size());
  if (reads > 0) add(Tensor::from(others, {reads, 1}, counts_.device(), "slot counts"), {});
  // The same on all ranks: list() makes room by it.
  accesses_ = accesses.to_vector<std::int64_t>()[0];
}

void AccessCounter::clear() {
  const List touched = list();
  kernels::clear_counts({.counts = counts_, .slots = touched.slots, .slot_count = touched.count});
  touched_count_.zero();
  accesses_ = 0;
}

std::int64_t AccessCounter::touched_count() const {
  return touched_count_.to_vector<std::int32_t>()[0];
}

Tensor AccessCounter::touched() const {
  return touched_.slice(0, touched_count());
}

AccessCounter::List AccessCounter::list() const {
  const std::int64_t room =
      counts_.device().is_cpu() ? touched_count() : std::min(accesses_, touched_.elements());
  return {touched_.slice(0, room), touched_count_};
}

}  // namespace slotwise
