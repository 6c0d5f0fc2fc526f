#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"

namespace slotwise {

double Schedule::factor(std::int64_t step) const {
  const double progress = std::min(
      1.0, static_cast<double>(step) / static_cast<double>(std::max<std::int64_t>(total_steps, 1)));
  double shape = 1.0;
  if (decay == Decay::linear) shape = 1.0 - progress;
  if (decay == Decay::cosine) shape = 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
  const double decayed = floor + (1.0 - floor) * shape;
  if (warmup_steps <= 0) return decayed;
  return decayed * std::min(1.0, static_cast<double>(step + 1) / static_cast<double>(warmup_steps));
}

Decay parse_decay(std::string_view text) {
  if (text == "constant") return Decay::constant;
  if (text == "linear") return Decay::linear;
  if (text == "cosine") return Decay::cosine;
  user_error("schedule must be constant, linear or cosine, got '{}'", text);
}

}  // namespace slotwise
