#include "train/confidence.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"
#include "core/random.h"

namespace slotwise {
namespace {

constexpr double kQuantile = 1.959963984540054;  // of the normal distribution at 97.5 %
constexpr std::int64_t kResamples = 1000;

// Between the neighbours of position share * (n - 1) of the sorted values.
double percentile(const std::vector<double>& sorted, double share) {
  const double position = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

std::optional<Interval> wilson_interval(double successes, std::int64_t count) {
  if (count <= 0) return std::nullopt;
  const double n = static_cast<double>(count), p = successes / n, z2 = kQuantile * kQuantile;
  const double centre = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kQuantile / (1 + z2 / n) * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  // At the edges the formula gives 0 and 1, but for rounding.
  return Interval{successes <= 0 ? 0.0 : centre - half, successes >= n ? 1.0 : centre + half};
}

std::optional<Interval> bootstrap_interval(std::span<const double> values,
                                           std::span<const double> weights) {
  const std::size_t n = values.size();
  SLOTWISE_CHECK(weights.empty() || weights.size() == n,
                 "[bootstrap] expected a weight for each of {} values, got {}", n, weights.size());
  if (n < 2) return std::nullopt;
  const Random random(0, "bootstrap");
  const std::uint64_t calls = (n + 3) / 4;  // a call gives four words
  std::vector<double> means(kResamples);
  parallel_for(kResamples, 16, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t resample = begin; resample < end; ++resample) {
      double sum = 0, weight = 0;
      for (std::size_t i = 0; i < n; i += 4) {
        const auto words = random.words(static_cast<std::uint64_t>(resample) * calls + i / 4);
        for (std::size_t k = 0; k < 4 && i + k < n; ++k) {
          const std::size_t drawn = (std::uint64_t{words[k]} * n) >> 32;
          sum += values[drawn];
          weight += weights.empty() ? 1.0 : weights[drawn];
        }
      }
      means[static_cast<std::size_t>(resample)] = sum / weight;
    }
  });
  std::sort(means.begin(), means.end());
  return Interval{percentile(means, 0.025), percentile(means, 0.975)};
}

}  // namespace slotwise
