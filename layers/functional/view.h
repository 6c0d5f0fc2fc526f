// Another shape of the same elements; no bytes move.
#pragma once

#include "core/variable.h"

namespace slotwise {

Variable view(const Variable& x, const Shape& shape);

}  // namespace slotwise
