// Grouped-query softmax attention. q: [B, Tq, H, D]; k, v: [B, Tk, G, D]; result [B, Tq, H, D].
#pragma once

#include "core/variable.h"

namespace slotwise {

struct AttentionMask {
  bool causal = true;
  Tensor query_start;  // [B] i32, optional: key position of each row's first query
  Tensor key_length;   // [B] i32, optional: keys at or past it are not seen
  // Packed rows (B = 1, Tq = Tk): where each begins, [rows + 1] i32, and the longest one's length.
  Tensor offsets = {};
  std::int64_t longest = 0;
};

Variable attention(const Variable& q, const Variable& k, const Variable& v,
                   const AttentionMask& mask, float scale);

}  // namespace slotwise
