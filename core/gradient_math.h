// The one piece of arithmetic the tape itself needs: writing a finished gradient into a sink.
#pragma once

#include "core/tensor.h"

namespace slotwise {

// sink = grad, or sink += grad. f32, same shape.
void write_gradient(const Sink& sink, const Tensor& grad);

}  // namespace slotwise
