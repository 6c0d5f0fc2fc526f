// Rows of a table by token id. table: [V, C]; ids: [...] i32; result [tokens, C].
#pragma once

#include "core/variable.h"

namespace slotwise {

Variable embedding(const Variable& table, const Tensor& ids);

}  // namespace slotwise
