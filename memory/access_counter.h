// How often each slot of one table was read, by valid tokens only. Clearing costs the slots
// touched, not N.
#pragma once

#include "memory/memory_hooks.h"

namespace slotwise {

class AccessCounter {
 public:
  AccessCounter(std::int64_t slots, Device device);

  void add(const Tensor& slots, const Tensor& valid);
  void clear();
  std::int64_t touched_count() const;  // distinct slots since clear()
  Tensor touched() const;              // [touched_count] i32, in the order of first access
  const Tensor& counts() const { return counts_; }  // [N] i32

 private:
  Tensor counts_, touched_, touched_count_;
};

}  // namespace slotwise
