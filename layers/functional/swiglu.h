// silu(gate) * up.
#pragma once

#include "core/variable.h"

namespace slotwise {

Variable swiglu(const Variable& gate, const Variable& up);

}  // namespace slotwise
