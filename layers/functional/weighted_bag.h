// Weighted sum of table rows. values: [N, D]; slots: [M, J] i32; weights: [M, J]; result [M, D].
//
// The gradient of the table takes one of two ways: dense into values.grad() when `values` requires
// a gradient, or, for sparse finetuning, not at all: `keep` is handed what is needed to compute any
// chosen rows of it later (exact, because the table does not change within a step).
#pragma once

#include <functional>

#include "core/variable.h"

namespace slotwise {

struct KeptBag {
  Tensor slots;     // [M, J]
  Tensor weights;   // [M, J]
  Tensor gradient;  // [M, D], at the bag's output
};
using KeepBag = std::function<void(const KeptBag&)>;

Variable weighted_bag(const Variable& values, const Tensor& slots, const Variable& weights,
                      const KeepBag& keep = {});

}  // namespace slotwise
