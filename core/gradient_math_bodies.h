// The bodies behind core/gradient_math.h, a namespace per backend. Without CUDA those of `cuda` say
// that they are absent; CMake chooses the file.
#pragma once

#include "core/gradient_math.h"

namespace slotwise {

namespace cpu {
void add_gradient(const Tensor& sum, const Tensor& grad);  // sum += grad
void zero_untouched_rows(const TouchedRows& rows);
}  // namespace cpu

namespace cuda {
void add_gradient(const Tensor& sum, const Tensor& grad);
void zero_untouched_rows(const TouchedRows& rows);
}  // namespace cuda

}  // namespace slotwise
