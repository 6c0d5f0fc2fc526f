// Optimizer steps on chosen rows of a table; every other row keeps its bits.
// values: [N, D]; rows: [t] i32 distinct, or -1: that place is passed over; gradient: [t, D].
// gradient_scale [1], optional: as in kernels/adamw.h, NaN leaves everything as it is.
#pragma once

#include "kernels/dispatch.h"

namespace slotwise::kernels {

// Adam with moments and a step counter per row: bias correction by the row's own number of steps,
// for a row seen twice is not a row seen a thousand times. State row state_row[i] belongs to
// rows[i]; first/second_moment: [capacity, D], steps: [capacity] i32 (incremented).
struct RowAdam {
  Tensor values;
  Tensor first_moment, second_moment, steps;
  Tensor rows, state_row;
  Tensor gradient;
  float learning_rate = 0.0f;
  float beta1 = 0.9f, beta2 = 0.999f, epsilon = 1e-8f;
  Tensor gradient_scale = {};
};
SLOTWISE_OP(row_adam, RowAdam)

// values[rows[i]] -= learning_rate * gradient[i].
struct RowSgd {
  Tensor values;
  Tensor rows;
  Tensor gradient;
  float learning_rate = 0.0f;
  Tensor gradient_scale = {};
};
SLOTWISE_OP(row_sgd, RowSgd)

}  // namespace slotwise::kernels
