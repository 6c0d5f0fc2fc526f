// The arithmetic the tape itself needs: writing a finished gradient into a sink, filling a gradient
// of touched rows up, and packing its touched rows for a journey to other ranks.
#pragma once

#include "core/row_gradient.h"
#include "core/tensor.h"

namespace slotwise {

// sink = grad, or sink += grad. f32, same shape.
void write_gradient(const Sink& sink, const Tensor& grad);

// Zeros into every row that is not touched.
void zero_untouched_rows(const TouchedRows& rows);

// out[i] = the gradient of row rows[i], 0 where it is not touched. out: [t, D]; rows: [t] i32 on
// the device.
void gather_touched_rows(const Tensor& out, const Tensor& rows, const TouchedRows& from);
// The other way: writes those rows and marks them touched, and no others.
void scatter_touched_rows(const TouchedRows& to, const Tensor& rows, const Tensor& values);

}  // namespace slotwise
