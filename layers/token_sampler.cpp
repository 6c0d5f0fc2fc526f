#include "layers/token_sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace slotwise {

TokenSampler::TokenSampler(const GenerationOptions& options)
    : options_(options), random_(options.seed, "generation") {
  if (!(options.temperature >= 0) || options.top_k < 0 || !(options.top_p > 0) ||
      options.top_p > 1) {
    user_error("sampling needs temperature >= 0, top-k >= 0 and 0 < top-p <= 1, got {}, {} and {}",
               options.temperature, options.top_k, options.top_p);
  }
}

std::int32_t TokenSampler::choose(std::span<const float> logits, std::int64_t row,
                                  std::int64_t index) const {
  if (options_.temperature == 0) {
    return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) -
                                     logits.begin());
  }
  std::vector<std::int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto likelier = [&](std::int32_t a, std::int32_t b) {
    const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  };
  const std::size_t keep = options_.top_k > 0
                               ? std::min(order.size(), static_cast<std::size_t>(options_.top_k))
                               : order.size();
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(keep), order.end(),
                    likelier);
  order.resize(keep);
  std::vector<double> mass;
  double total = 0.0;
  const double top = logits[static_cast<std::size_t>(order[0])];
  for (const std::int32_t token : order) {
    mass.push_back(
        std::exp((logits[static_cast<std::size_t>(token)] - top) / options_.temperature));
    total += mass.back();
  }
  std::size_t count = 0;
  double held = 0.0;
  while (count < mass.size() && held < options_.top_p * total) held += mass[count++];
  const auto draw = static_cast<std::uint64_t>(row * options_.max_new_tokens + index);
  double rest = random_.uniform_at(draw) * held;
  for (std::size_t i = 0; i < count; ++i) {
    rest -= mass[i];
    if (rest < 0) return order[i];
  }
  return order[count - 1];
}

}  // namespace slotwise
