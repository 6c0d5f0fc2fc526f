// a + alpha * b with a learnable alpha [1] (the retrofit mode of the memory layer).
#pragma once

#include "core/variable.h"

namespace slotwise {

Variable add_scaled(const Variable& a, const Variable& b, const Variable& alpha);

}  // namespace slotwise
