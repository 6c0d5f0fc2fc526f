// Gradients of some rows of a table, in two forms. Plain values, so that who makes and who uses
// them need not know one another.
#pragma once

#include "core/tensor.h"

namespace slotwise {

// What sparse finetuning hands to a row optimizer.
struct RowGradient {
  Tensor rows;      // [t] i32, ascending, distinct; -1 behind them where there are fewer than t
  Tensor gradient;  // [t, D] f32
};

// What a backward leaves in a table of which it reached a part: a row that is not touched holds
// nothing (not even zeros), which spares a pass over the whole table.
struct TouchedRows {
  Tensor gradient;  // [N, D] f32
  Tensor touched;   // [N] u8; undefined: all rows hold their gradient
};

// Where an op sums into rows of such a gradient. With `touched`, a touched row is added to, another
// one is overwritten and marked; else the sink says.
struct RowSink {
  Sink sink;
  Tensor touched;
};

}  // namespace slotwise
