// The verbs of a Communicator: sums in the order of the ranks against the same fold on one rank,
// lengths that do not divide, several sums under way, what each verb sends.
#include <array>
#include <cmath>
#include <cstring>

#include "core/random.h"
#include "tests/ranks/rank_checks.h"

namespace slotwise::testing {
namespace {

// Values of very different size, so that another order gives other bits.
Tensor values_of(int rank, std::int64_t elements) {
  const Tensor out = Tensor::empty({elements}, DType::f32);
  fill_normal(out, 1.0f, Random(7, fmt::format("rank {}", rank)));
  float* values = out.data<float>();
  for (std::int64_t i = 0; i < elements; ++i) {
    values[i] *= std::exp(8.0f * std::sin(static_cast<float>(i + 3 * rank)));
  }
  return out;
}

Tensor folded(const Communicator& group, std::int64_t elements, const Tensor& before) {
  const Tensor sum = before.defined() ? before.clone() : values_of(0, elements);
  for (int rank = before.defined() ? 0 : 1; rank < group.size(); ++rank) {
    const Tensor part = values_of(rank, elements);
    for (std::int64_t i = 0; i < elements; ++i) {
      sum.data<float>()[i] += part.data<float>()[i];
    }
  }
  return sum;
}

void expect_sum(const Tensor& sum, const Tensor& expected, SumOrder order, const char* what) {
  const float *got = sum.data<float>(), *want = expected.data<float>();
  for (std::int64_t i = 0; i < sum.elements(); ++i) {
    const bool same = order == SumOrder::ranks
                          ? std::memcmp(got + i, want + i, sizeof(float)) == 0
                          : std::abs(got[i] - want[i]) <= 1e-2f + 1e-4f * std::abs(want[i]);
    SLOTWISE_CHECK(same, "{}: element {} of {} is {}, expected {}", what, i, sum.elements(), got[i],
                   want[i]);
  }
}

void check_sums(Communicator& group, SumOrder order) {
  // The last one is longer than a chunk.
  for (const std::int64_t elements : {0, 1, 3, 1000, (1 << 20) + 5}) {
    const Tensor sum = values_of(group.rank(), elements);
    const std::int64_t sent = group.sent(Verb::all_reduce).bytes;
    group.all_reduce_sum(sum);
    expect_sum(sum, folded(group, elements, {}), order, "sum");
    if (order == SumOrder::library || elements > 1000) continue;
    const std::int64_t bytes = group.sent(Verb::all_reduce).bytes - sent;
    const std::int64_t expected = ordered_sum_bytes(group, elements);
    SLOTWISE_CHECK(bytes == expected, "a sum of {} sent {} bytes, expected {}", elements, bytes,
                   expected);
  }
  const Tensor before = values_of(99, 1000), sum = values_of(group.rank(), 1000);
  group.all_reduce_sum(sum, before);
  expect_sum(sum, folded(group, 1000, before), order, "sum with a beginning");
}

void check_whole_numbers(Communicator& group) {
  const std::int32_t ranks = group.size(), sum = ranks * (ranks - 1) / 2;
  const Tensor small = Tensor::from<std::int32_t>({group.rank(), 5}, {2});
  group.all_reduce_sum(small);
  SLOTWISE_CHECK(small.to_vector<std::int32_t>() == (std::vector<std::int32_t>{sum, 5 * ranks}),
                 "i32 sums are wrong");
  const std::int64_t large = std::int64_t{1} << 40;
  const Tensor wide = Tensor::from<std::int64_t>({large}, {1});
  group.all_reduce_sum(wide);
  SLOTWISE_CHECK(wide.to_vector<std::int64_t>()[0] == large * ranks, "i64 sums are wrong");
}

// Started in one order, finished in another on every second rank.
void check_several_at_once(Communicator& group, SumOrder order) {
  constexpr int kSums = 5;
  std::vector<Tensor> sums;
  std::vector<std::unique_ptr<Transfer>> under_way;
  for (int i = 0; i < kSums; ++i) {
    sums.push_back(values_of(group.rank(), 1000 + i));
    under_way.push_back(group.start_all_reduce_sum(sums.back()));
  }
  for (int i = 0; i < kSums; ++i) {
    const int which = group.rank() % 2 == 0 ? i : kSums - 1 - i;
    for (auto& each : under_way) each->done();
    under_way[static_cast<std::size_t>(which)]->wait();
  }
  for (int i = 0; i < kSums; ++i) {
    expect_sum(sums[static_cast<std::size_t>(i)], folded(group, 1000 + i, {}), order,
               "one of several sums");
  }
}

// Two under way beside a sum, waited for in another order on every second rank.
void check_equal_gathering(Communicator& group) {
  constexpr std::int64_t kLength = 70;
  std::array<Tensor, 2> all;
  std::vector<std::unique_ptr<Transfer>> under_way;
  for (std::int32_t i = 0; i < 2; ++i) {
    const std::vector<std::int32_t> own(kLength, 10 * i + group.rank());
    all[static_cast<std::size_t>(i)] = Tensor::empty({kLength * group.size()}, DType::i32);
    under_way.push_back(
        group.start_all_gather(all[static_cast<std::size_t>(i)], Tensor::from(own, {kLength})));
  }
  group.all_reduce_sum(Tensor::zeros({1000}, DType::f32));
  const std::size_t first = group.rank() % 2 == 0 ? 0 : 1;
  under_way[first]->wait();
  under_way[1 - first]->wait();
  for (std::int32_t i = 0; i < 2; ++i) {
    const auto numbers = all[static_cast<std::size_t>(i)].span<std::int32_t>();
    for (std::size_t at = 0; at < numbers.size(); ++at) {
      const auto rank = static_cast<std::int32_t>(at / kLength);
      SLOTWISE_CHECK(numbers[at] == 10 * i + rank, "rank {} sent {} in gather {}", rank,
                     numbers[at], i);
    }
  }
}

void check_gathering(Communicator& group) {
  const auto length = static_cast<std::int64_t>(3 * ((group.rank() + 1) % group.size()));
  const std::vector<std::int32_t> own(static_cast<std::size_t>(length), group.rank());
  const std::vector<Tensor> all = group.all_gather(Tensor::from(own, {length}));
  SLOTWISE_CHECK(static_cast<int>(all.size()) == group.size(), "gathered {} tensors", all.size());
  for (int rank = 0; rank < group.size(); ++rank) {
    const Tensor& theirs = all[static_cast<std::size_t>(rank)];
    SLOTWISE_CHECK(theirs.elements() == 3 * ((rank + 1) % group.size()), "a length is wrong");
    for (const std::int32_t each : theirs.span<std::int32_t>()) {
      SLOTWISE_CHECK(each == rank, "rank {} sent {}", rank, each);
    }
  }
  check_equal_gathering(group);
  const int root = group.size() - 1;
  const Tensor told = values_of(group.rank(), 77);
  group.broadcast(told, root);
  expect_sum(told, values_of(root, 77), SumOrder::ranks, "broadcast");
  group.barrier();
}

}  // namespace

std::int64_t ordered_sum_bytes(const Communicator& group, std::int64_t elements,
                               std::int64_t element_bytes) {
  const std::int64_t own = segment_of(elements, group.rank(), group.size()).size();
  return element_bytes * (elements - own + (group.size() - 1) * own);
}

void check_verbs(Communicator& group, SumOrder order) {
  check_sums(group, order);
  check_whole_numbers(group);
  check_several_at_once(group, order);
  check_gathering(group);
}

}  // namespace slotwise::testing
