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
