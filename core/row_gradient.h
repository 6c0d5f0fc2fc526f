// What a memory hands to an optimizer: some rows of a table and their gradients. A plain value, so
// that neither side knows the other.
#pragma once

#include "core/tensor.h"

namespace slotwise {

struct RowGradient {
  Tensor rows;      // [t] i32, ascending, distinct
  Tensor gradient;  // [t, D] f32
};

}  // namespace slotwise
