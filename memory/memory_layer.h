// The product-key memory layer (Berges et al. 2024; SMF section 2):
//   slots, weights = lookup(query(x));  y = sum weights * V[slots];  out = W2 (y * silu(W1 x))
// In mode `replace` it stands for the block's feed-forward network; in mode `add` it is added to it
// with a learnable factor.
#pragma once

#include <memory>

#include "layers/feed_forward.h"
#include "memory/memory_hooks.h"
#include "memory/product_key_query.h"
#include "memory/value_table.h"

namespace slotwise {

class MemoryLayer final : public FeedForward {
 public:
  // `dense`: the feed-forward network of mode add, null in mode replace.
  MemoryLayer(ParameterRegistry& registry, const std::string& prefix, const MemoryConfig& config,
              const DecoderConfig& decoder, ValueTable table,
              std::shared_ptr<const MemoryHooks> hooks, std::unique_ptr<FeedForward> dense);

  Variable forward(const Variable& x, const ForwardContext& context) override;
  // forward() in two: all that depends on x alone, and the read of the table.
  struct Inputs {
    Tensor slots;      // [M, H * k]; undefined while the memory is switched off
    Variable weights;  // [M, H * k]
    Variable gate;     // [M, d_v] before its silu; undefined without a gate
    Variable dense;    // [M, hidden]; undefined in mode replace
  };
  Inputs inputs(const Variable& x, const ForwardContext& context) const;
  Variable read(const Inputs& inputs, const ForwardContext& context) const;
  // Only the dense part: adapters on the memory's own projections would change which slots are
  // read.
  std::vector<Linear> linears() const override;

 private:
  Variable memory(const Inputs& inputs, const ForwardContext& context) const;

  ProductKeyQuery query_;
  ValueTable table_;
  std::shared_ptr<const MemoryHooks> hooks_;
  std::unique_ptr<FeedForward> dense_;
  Linear gate_, output_;
  bool gated_ = true;
  std::int64_t hidden_size_ = 0;
  Variable alpha_;  // [1], mode add
};

}  // namespace slotwise
