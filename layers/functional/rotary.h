// Rotary position embedding of queries or keys. x: [tokens, heads, D] (or [..., heads, D]).
#pragma once

#include "core/variable.h"

namespace slotwise {

struct RotaryTable {
  Tensor cosine, sine;  // [positions, D / 2]
};
RotaryTable make_rotary_table(std::int64_t positions, std::int64_t head_dim, double theta,
                              Device device);

// positions: [tokens] i32.
Variable rotary(const Variable& x, const Tensor& positions, const RotaryTable& table);

}  // namespace slotwise
