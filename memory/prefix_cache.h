// What the frozen part of a model below its lowest table read makes of sequences that come again
// and again. While only memory values change, the residual stream up to there, the slots, their
// weights and the gate are the same in every step: they are computed once, in an order of their own
// (not the order of use, so a resumed run has the same bits), and a batch of known sequences starts
// at the read of the table. Exact for any number of memory layers: those above are run as ever.
// Only values may require a gradient while it lives.
#pragma once

#include <map>

#include "memory/memory_model.h"

namespace slotwise {

class PrefixCache final : public PrefixSource {
 public:
  // Takes those of the groups, in their order, that fit whole into `most_bytes` together (a batch
  // is served when all its rows are known, so half a group would serve few), and sets itself on the
  // model's decoder for as long as it lives. The model must have a memory layer.
  PrefixCache(MemoryModel& model, const std::vector<TokenRows>& groups, std::int64_t most_bytes);
  ~PrefixCache() override;
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  std::optional<State> find(const ForwardContext& context) const override;
  std::int64_t sequences() const { return static_cast<std::int64_t>(first_token_.size()); }
  std::int64_t bytes() const;

 private:
  TokenRows admit(const std::vector<TokenRows>& groups, std::int64_t most_bytes);
  void fill(const TokenRows& chunk, std::int64_t first);

  MemoryModel& model_;
  std::map<std::vector<std::int32_t>, std::int64_t> first_token_;
  // Of all tokens of all rows, one after another. Undefined where the layer has no such part.
  Tensor residual_, slots_, weights_, gate_, dense_;
};

}  // namespace slotwise
