// Product-key lookup on the tape: slots are data, their softmax weights carry the gradient to
// queries and keys. query: [M, H, 2, h]; keys: [H, 2, n, h].
#pragma once

#include "core/variable.h"

namespace slotwise {

struct KeyLookup {
  Tensor slots;      // [M, H * k] i32
  Variable weights;  // [M, H * k]
};

KeyLookup product_key_lookup(const Variable& query, const Variable& keys, std::int64_t top_k);

}  // namespace slotwise
