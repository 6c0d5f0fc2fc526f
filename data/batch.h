// A batch of token sequences for next-token prediction, right-padded. B: sequences, T: the longest
// input. Padding needs no attention mask: it stands after the tokens, and attention is causal.
#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace slotwise {

struct TokenBatch {
  Tensor tokens;                  // i32 [B, T]
  Tensor targets;                 // i32 [B, T]: the next token, -1 where no loss is taken
  std::int64_t valid_tokens = 0;  // targets that are not -1
};

// Inputs are sequence[:-1], targets sequence[1:], T = the longest sequence - 1. Sequences of
// different lengths mix, shorter ones than 2 carry no loss; one of at least 2 tokens must be there.
TokenBatch make_batch(const std::vector<std::vector<std::int32_t>>& sequences, int pad_id);

}  // namespace slotwise
