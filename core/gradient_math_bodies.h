// The bodies behind core/gradient_math.h, a namespace per backend. Without CUDA those of `cuda` say
// that they are absent; CMake chooses the file.
#pragma once

#include "core/gradient_math.h"

namespace slotwise {

namespace cpu {
void add_gradient(const Tensor& sum, const Tensor& grad);  // sum += grad
void zero_untouched_rows(const TouchedRows& rows);
void gather_touched_rows(const Tensor& out, const Tensor& rows, const TouchedRows& from);
void scatter_touched_rows(const TouchedRows& to, const Tensor& rows, const Tensor& values);
}  // namespace cpu

namespace cuda {
void add_gradient(const Tensor& sum, const Tensor& grad);
void zero_untouched_rows(const TouchedRows& rows);
void gather_touched_rows(const Tensor& out, const Tensor& rows, const TouchedRows& from);
void scatter_touched_rows(const TouchedRows& to, const Tensor& rows, const Tensor& values);
}  // namespace cuda

}  // namespace slotwise
