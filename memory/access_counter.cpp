#include "memory/access_counter.h"

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
}

void AccessCounter::clear() {
  kernels::clear_counts({.counts = counts_, .slots = touched()});
  touched_count_.zero();
}

std::int64_t AccessCounter::touched_count() const {
  return touched_count_.to_vector<std::int32_t>()[0];
}

Tensor AccessCounter::touched() const {
  return touched_.slice(0, touched_count());
}

}  // namespace slotwise
