// Batch normalisation over features (the last dimension of a [rows, F] matrix).
#pragma once

#include "core/variable.h"

namespace slotwise {

struct BatchNormState {
  Tensor running_mean, running_variance;  // [F], moved by training forwards
  float momentum = 0.1f;
  float epsilon = 1e-5f;
};

// valid: [rows] u8, optional: rows that count in the statistics.
Variable batch_norm(const Variable& x, const Variable& gain, const Variable& bias,
                    const BatchNormState& state, const Tensor& valid, bool training);

}  // namespace slotwise
