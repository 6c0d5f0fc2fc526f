// a + b.
#pragma once

#include "core/variable.h"

namespace slotwise {

Variable add(const Variable& a, const Variable& b);

}  // namespace slotwise
