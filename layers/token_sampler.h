// Choosing one token from logits: greedy, or temperature with top-k and top-p.
#pragma once

#include <span>

#include "core/random.h"
#include "layers/generation.h"

namespace slotwise {

class TokenSampler {
 public:
  explicit TokenSampler(const GenerationOptions& options);
  // Reproducible: the draw depends on seed, row and index of the new token alone.
  std::int32_t choose(std::span<const float> logits, std::int64_t row, std::int64_t index) const;

 private:
  GenerationOptions options_;
  Random random_;
};

}  // namespace slotwise
