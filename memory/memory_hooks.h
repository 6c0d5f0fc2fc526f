// What others may watch or take from the memory layers of a model while it runs. One object is
// shared by all memory layers; `table` is the index of the value table that a layer reads.
#pragma once

#include <functional>

#include "layers/functional/weighted_bag.h"

namespace slotwise {

struct Access {
  int table = 0;
  Tensor slots;    // [M, H * k] i32
  Tensor weights;  // [M, H * k]
  Tensor valid;    // [M] u8 or undefined
  // Where each sequence begins, and M at the end: [B + 1] i32; undefined: every sequence has
  // `length` tokens.
  Tensor offsets;
  std::int64_t length = 0;
};

struct MemoryHooks {
  // Called once per forward and memory layer (not for a recomputed forward).
  std::function<void(const Access&)> on_access;
  // Called in backward, the highest layer first: what the gradient of chosen rows needs.
  std::function<void(int table, const KeptBag&)> keep;
  // The memory switched off: its addition to the residual stream is zero.
  bool disabled = false;

  // One watcher at a time: a second would silently take the first one's place.
  void expect_unwatched() const {
    SLOTWISE_CHECK(!on_access && !keep, "[memory] something watches this model's memory already");
  }
};

}  // namespace slotwise
