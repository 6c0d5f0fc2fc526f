// 95 % confidence intervals of a mean over questions. Shares of right answers: Wilson's score
// interval, which holds near 0 and 1, where the normal one does not. Means of anything else: the
// percentile bootstrap over questions (1,000 resamples), with counter-based random numbers, so that
// the same values give the same interval everywhere. Both speak of the questions that might have
// been drawn, not of another training run.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace slotwise {

struct Interval {
  double low = 0, high = 0;
  bool operator==(const Interval&) const = default;
};

// Of `successes` among `count`; nothing where nothing was counted.
std::optional<Interval> wilson_interval(double successes, std::int64_t count);

// Of sum(values) / sum(weights), value and weight of a question drawn together; weights empty: all
// 1. Nothing for fewer than two questions, which have no spread to resample.
std::optional<Interval> bootstrap_interval(std::span<const double> values,
                                           std::span<const double> weights = {});

}  // namespace slotwise
