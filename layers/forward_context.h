// What every layer may need to know of the batch it is run on, besides the activations.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/tensor.h"
#include "layers/functional/attention.h"

namespace slotwise {

// Keys and values of past positions for generation: per layer [B, capacity, G, D].
struct KeyValueCache {
  std::int64_t capacity = 0;
  std::vector<Tensor> keys, values;
};

using TokenRows = std::vector<std::vector<std::int32_t>>;

// Rows of B sequences of T tokens, or packed: batch 1, length = all tokens, and mask.offsets tells
// where each sequence begins. M = batch * length.
struct ForwardContext {
  std::int64_t batch = 0;
  std::int64_t length = 0;
  Tensor positions;  // [M] i32
  Tensor valid;      // [M] u8, optional: tokens that count (slot counts, batch statistics)
  AttentionMask mask;
  bool training = false;
  KeyValueCache* cache = nullptr;
  // Packed rows on the host, for who looks them up (PrefixSource).
  std::shared_ptr<const TokenRows> sequences;
  Tensor cache_rows;  // [M] i32: row of each token in a cache read as [B * capacity]

  std::int64_t longest_sequence() const { return mask.offsets.defined() ? mask.longest : length; }
};

}  // namespace slotwise
