// The arithmetic the tape itself needs: writing a finished gradient into a sink, and filling a
// gradient of touched rows up.
#pragma once

#include "core/row_gradient.h"
#include "core/tensor.h"

namespace slotwise {

// sink = grad, or sink += grad. f32, same shape.
void write_gradient(const Sink& sink, const Tensor& grad);

// Zeros into every row that is not touched.
void zero_untouched_rows(const TouchedRows& rows);

}  // namespace slotwise
