// How often each slot of one table was read, by valid tokens only. Clearing costs the slots
// touched, not N. On a device the number of touched slots stays there: list() comes with room for
// more than there are, and nothing waits.
#pragma once

#include "core/communicator.h"
#include "memory/memory_hooks.h"

namespace slotwise {

class AccessCounter {
 public:
  AccessCounter(std::int64_t slots, Device device);

  void add(const Tensor& slots, const Tensor& valid);
  // Adds up the counts of all ranks, so that each has those of the whole batch; what travels is a
  // pair of numbers for each slot that a rank has touched.
  void share(Communicator& group);
  void clear();
  std::int64_t touched_count() const;  // distinct slots since clear(); waits for the device
  Tensor touched()
      const;  // [touched_count] i32, in the order of first access; waits for the device

  // The same slots without waiting: the first *count of `slots`. On the CPU there are no more.
  struct List {
    Tensor slots;  // [at most as many as there were accesses]
    Tensor count;  // [1] i32
  };
  List list() const;
  const Tensor& counts() const { return counts_; }  // [N] i32

 private:
  Tensor counts_, touched_, touched_count_;
  std::int64_t accesses_ = 0;  // since clear(), of tokens that do not count too
};

}  // namespace slotwise
