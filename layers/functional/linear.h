// y = x W^T, with an optional low-rank addition s * (x A^T) B^T (LoRA, Hu et al. 2021).
// x: [..., in]; weight: [out, in]; a: [r, in]; b: [out, r]; y: [..., out].
#pragma once

#include "core/variable.h"

namespace slotwise {

Variable linear(const Variable& x, const Variable& weight);
Variable low_rank_linear(const Variable& x, const Variable& weight, const Variable& a,
                         const Variable& b, float scale);

}  // namespace slotwise
