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
  std::vector<std::int32_t> lengths;  // tokens held per row
};

struct ForwardContext {
  std::int64_t batch = 0;
  std::int64_t length = 0;
  Tensor positions;  // [B * T] i32
  Tensor valid;      // [B * T] u8, optional: tokens that count (slot counts, batch statistics)
  AttentionMask mask;
  bool training = false;
  KeyValueCache* cache = nullptr;
  Tensor cache_rows;  // [B * T] i32: row of each token in a cache read as [B * capacity]
};

}  // namespace slotwise
