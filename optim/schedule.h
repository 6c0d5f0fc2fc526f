// Learning rate over steps, as a factor of the base rate: warm-up, then constant, linear or cosine
// to a floor.
#pragma once

#include <cstdint>
#include <string_view>

namespace slotwise {

enum class Decay { constant, linear, cosine };

struct Schedule {
  Decay decay = Decay::constant;
  std::int64_t warmup_steps = 0;  // step s of the warm-up is multiplied by (s + 1) / warmup_steps
  std::int64_t total_steps = 1;
  double floor = 0.0;  // factor at the end of the decay

  double factor(std::int64_t step) const;  // step counts from 0
};

Decay parse_decay(std::string_view text);  // "constant", "linear", "cosine"; UserError otherwise

}  // namespace slotwise
