#include <algorithm>
#include <cstring>

#include "core/parallel.h"
#include "kernels/cpu/row_reduction.h"
#include "kernels/cpu/weighted_rows.h"
#include "kernels/weighted_bag.h"

namespace slotwise::kernels::cpu {
namespace {

constexpr std::int64_t kLanes = 8;
using Lanes = float __attribute__((vector_size(32)));
using HalfWords = std::uint16_t __attribute__((vector_size(16)));
using Words = std::uint32_t __attribute__((vector_size(32)));

inline void load(const float* from, Lanes& lanes) {
  std::memcpy(&lanes, from, sizeof lanes);
}
inline void load(const BFloat16* from, Lanes& lanes) {
  HalfWords bits;
  std::memcpy(&bits, from, sizeof bits);
  const Words words = __builtin_convertvector(bits, Words) << 16;
  std::memcpy(&lanes, &words, sizeof lanes);
}

inline float sum_of(const Lanes& x) {
  return ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]));
}

// dots[r] = dot(x, rows[r]) for kRows rows at once, each in 16 running sums added in a fixed
// order; prefetches the same lines of `later` as it goes.
template <int kRows, class Value>
void dot_rows(const float* x, std::int64_t D, const Value* const* rows, const Value* const* later,
              float* dots) {
  Lanes sums[kRows][2] = {};
  std::int64_t d = 0;
  for (; d + 2 * kLanes <= D; d += 2 * kLanes) {
    Lanes x_lanes[2];
    load(x + d, x_lanes[0]);
    load(x + d + kLanes, x_lanes[1]);
    for (int r = 0; r < kRows; ++r) {
      __builtin_prefetch(later[r] + d);
      Lanes row[2];
      load(rows[r] + d, row[0]);
      load(rows[r] + d + kLanes, row[1]);
      sums[r][0] += x_lanes[0] * row[0];
      sums[r][1] += x_lanes[1] * row[1];
    }
  }
  for (int r = 0; r < kRows; ++r) {
    dots[r] = sum_of(sums[r][0] + sums[r][1]);
    for (std::int64_t rest = d; rest < D; ++rest) dots[r] += x[rest] * widen(rows[r][rest]);
  }
}

template <class Value>
void bag_backward_weights(const WeightedBagBackwardWeights& args) {
  constexpr std::int64_t kAhead = 12;
  const std::int64_t D = args.values.size(1), J = args.slots.size(1);
  const Value* values = args.values.data<Value>();
  const std::int32_t* slots = args.slots.data<std::int32_t>();
  const float* dy = args.dy.data<float>();
  float* dweights = args.dweights.tensor.data<float>();
  const bool accumulate = args.dweights.accumulate;
  const auto row_of = [=](std::int64_t access) { return values + std::int64_t{slots[access]} * D; };
  const std::int64_t grain = std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(J * D, 1));
  parallel_for(args.slots.size(0), grain, [&](std::int64_t begin, std::int64_t end, int) {
    const std::int64_t last = end * J - 1;
    for (std::int64_t m = begin; m < end; ++m) {
      for (std::int64_t j = 0; j < J; j += 4) {
        const std::int64_t count = std::min<std::int64_t>(4, J - j);
        const Value* rows[4];
        const Value* later[4];
        for (std::int64_t r = 0; r < count; ++r) {
          rows[r] = row_of(m * J + j + r);
          later[r] = row_of(std::min(m * J + j + r + kAhead, last));
        }
        float dots[4];
        if (count == 4) {
          dot_rows<4>(dy + m * D, D, rows, later, dots);
        } else {
          for (std::int64_t r = 0; r < count; ++r) {
            dot_rows<1>(dy + m * D, D, rows + r, later + r, dots + r);
          }
        }
        for (std::int64_t r = 0; r < count; ++r) {
          float& out = dweights[m * J + j + r];
          out = accumulate ? out + dots[r] : dots[r];
        }
      }
    }
  });
}

}  // namespace

void weighted_bag_backward_weights(const WeightedBagBackwardWeights& args) {
  if (args.values.dtype() == DType::bf16) {
    bag_backward_weights<BFloat16>(args);
  } else {
    bag_backward_weights<float>(args);
  }
}

void weighted_bag_backward_values(const WeightedBagBackwardValues& args) {
  const std::int64_t J = args.slots.size(1);
  const std::int32_t* slots = args.slots.data<std::int32_t>();
  const float* weights = args.weights.data<float>();
  const RowTerms terms(args.slots.size(0), J,
                       [&](std::int64_t begin, std::int64_t end, RowTerm* out) {
                         for (std::int64_t m = begin; m < end; ++m) {
                           for (std::int64_t access = m * J; access < (m + 1) * J; ++access) {
                             *out++ = {static_cast<std::uint32_t>(slots[access]),
                                       static_cast<std::uint32_t>(m), weights[access]};
                           }
                         }
                         return (end - begin) * J;
                       });
  reduce_rows(terms, args.dy.data<float>(), args.dvalues,
              args.touched.defined() ? args.touched.data<std::uint8_t>() : nullptr);
}

void selected_row_gradient(const SelectedRowGradient& args) {
  const std::int64_t J = args.slots.size(1);
  const std::int32_t* slots = args.slots.data<std::int32_t>();
  const std::int32_t* row_of_slot = args.row_of_slot.data<std::int32_t>();
  const float* weights = args.weights.data<float>();
  const RowTerms terms(args.slots.size(0), J,
                       [&](std::int64_t begin, std::int64_t end, RowTerm* out) {
                         RowTerm* next = out;
                         for (std::int64_t m = begin; m < end; ++m) {
                           for (std::int64_t access = m * J; access < (m + 1) * J; ++access) {
                             const std::int32_t row = row_of_slot[slots[access]];
                             if (row < 0) continue;
                             *next++ = {static_cast<std::uint32_t>(row),
                                        static_cast<std::uint32_t>(m), weights[access]};
                           }
                         }
                         return static_cast<std::int64_t>(next - out);
                       });
  reduce_rows(terms, args.dy.data<float>(), args.gradient);
}

}  // namespace slotwise::kernels::cpu
