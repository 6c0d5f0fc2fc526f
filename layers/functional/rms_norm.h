// RMS normalisation over the last dimension, alone or fused with the residual addition before it.
// gain: [D], [G, D] (row r uses gain row r % G) or undefined.
#pragma once

#include "core/variable.h"

namespace slotwise {

Variable rms_norm(const Variable& x, const Variable& gain, float epsilon);

struct NormedSum {
  Variable normed;  // rms_norm(x + residual)
  Variable sum;     // x + residual
};
NormedSum add_rms_norm(const Variable& x, const Variable& residual, const Variable& gain,
                       float epsilon);

}  // namespace slotwise
