// Memory bound where rows are long: rows of later accesses, also of the next tokens, are prefetched
// while four rows are summed. Offsets are 64 bits.
#include "kernels/weighted_bag.h"

#include <algorithm>

#include "core/parallel.h"
#include "kernels/cpu/weighted_rows.h"

namespace slotwise::kernels::cpu {
namespace {

constexpr std::int64_t kAhead = 24;  // accesses between prefetch and use

template <class Value>
void bag_forward(const WeightedBagForward& args) {
  const std::int64_t D = args.values.size(1), J = args.slots.size(1);
  const Value* values = args.values.data<Value>();
  const std::int32_t* slots = args.slots.data<std::int32_t>();
  const float* weights = args.weights.data<float>();
  float* y = args.y.data<float>();
  const auto row_of = [=](std::int64_t access) {
    return values + static_cast<std::int64_t>(slots[access]) * D;
  };
  const std::int64_t grain = std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(J * D, 1));
  parallel_for(args.slots.size(0), grain, [&](std::int64_t begin, std::int64_t end, int) {
    const std::int64_t last = end * J - 1;
    for (std::int64_t m = begin; m < end; ++m) {
      const std::int64_t first = m * J;
      sum_rows(
          y + m * D, D, J, false, [&](std::int64_t j) { return row_of(first + j); },
          [&](std::int64_t j) { return weights[first + j]; },
          [&](std::int64_t j) { return row_of(std::min(first + j + kAhead, last)); });
    }
  });
}

}  // namespace

void weighted_bag_forward(const WeightedBagForward& args) {
  if (args.values.dtype() == DType::bf16) {
    bag_forward<BFloat16>(args);
  } else {
    bag_forward<float>(args);
  }
}

}  // namespace slotwise::kernels::cpu
