// The state that these ops change is an input, so that no run makes or fills a list of N. Two of
// them find another state when they run again; they are timed together with the op that clears it,
// as a step runs them.
// Bytes: every list once, and every slot that a list names read and written where it lies.
#include "tests/kernels/ops/slot_statistics_bench.h"

#include <fmt/core.h>

#include "kernels/slot_statistics.h"

namespace slotwise::testing {
namespace {

constexpr std::int64_t kTokens = 4096, kReads = 128, kSlots = 1 << 20;
constexpr std::int64_t kListed = 1 << 18;  // about as many distinct slots as those reads touch
constexpr std::int64_t kChosen = 500;

// Distinct, in no order: an odd stride.
Tensor some_slots(std::int64_t count) {
  const Tensor out = Tensor::empty({count}, DType::i32);
  for (std::int64_t i = 0; i < count; ++i) {
    out.data<std::int32_t>()[i] = static_cast<std::int32_t>(i * 2654435761 % kSlots);
  }
  return out;
}

Tensor list_of_all(std::int32_t value) {
  return Tensor::from(std::vector<std::int32_t>(static_cast<std::size_t>(kSlots), value), {kSlots});
}

std::vector<OpCase> one(const std::string& label, const Tensors& inputs, double bytes,
                        std::function<void(const Tensors&)> timed) {
  OpCase out;
  out.label = label;
  out.inputs = inputs;
  out.bytes = bytes;
  out.timed = std::move(timed);
  return {out};
}

}  // namespace

std::vector<OpCase> count_bench_cases() {
  const Tensors inputs = {random_integers({kTokens, kReads}, 1, kSlots), list_of_all(0),
                          list_of_all(-1), Tensor::zeros({1}, DType::i32)};
  const double accesses = static_cast<double>(kTokens * kReads);
  return one(fmt::format("{} tokens x {} of {}, with clear_counts", kTokens, kReads, kSlots),
             inputs, 12.0 * accesses + 12.0 * kListed, [](const Tensors& in) {
               kernels::count_accesses({.counts = in[1],
                                        .touched = in[2],
                                        .touched_count = in[3],
                                        .slots = in[0],
                                        .valid = {}});
               kernels::clear_counts({.counts = in[1], .slots = in[2], .slot_count = in[3]});
               in[3].zero();
             });
}

std::vector<OpCase> score_bench_cases() {
  constexpr std::int32_t kBatches = 500;
  const Tensors inputs = {
      Tensor::zeros({kListed}), some_slots(kListed), random_integers({kSlots}, 3, 5),
      random_integers({kSlots}, 4, kBatches + 1), random_normal({kBatches + 1}, 5)};
  auto cases =
      one(fmt::format("{} of {}, weighted", kListed, kSlots), inputs, 16.0 * kListed,
          [](const Tensors& in) {
            kernels::score_slots(
                {.scores = in[0], .touched = in[1], .counts = in[2], .df = in[3], .idf = in[4]});
          });
  cases[0].flops = static_cast<double>(kListed);
  return cases;
}

std::vector<OpCase> map_bench_cases() {
  return one(fmt::format("{} of {}", kChosen, kSlots), {list_of_all(-1), some_slots(kChosen)},
             8.0 * kChosen,
             [](const Tensors& in) { kernels::map_slots({.map = in[0], .slots = in[1]}); });
}

std::vector<OpCase> clear_bench_cases() {
  return one(fmt::format("{} of {}", kListed, kSlots), {list_of_all(1), some_slots(kListed)},
             8.0 * kListed,
             [](const Tensors& in) { kernels::clear_counts({.counts = in[0], .slots = in[1]}); });
}

std::vector<OpCase> document_bench_cases() {
  return one(fmt::format("{} of {}", kListed, kSlots), {list_of_all(0), some_slots(kListed)},
             12.0 * kListed,
             [](const Tensors& in) { kernels::add_document({.df = in[0], .slots = in[1]}); });
}

std::vector<OpCase> number_bench_cases() {
  const Tensors inputs = {Tensor::empty({kChosen}, DType::i32), list_of_all(-1),
                          Tensor::empty({kChosen}, DType::i32), Tensor::zeros({1}, DType::i32),
                          some_slots(kChosen)};
  return one(
      fmt::format("{} of {}, with map_slots", kChosen, kSlots), inputs, 28.0 * kChosen,
      [](const Tensors& in) {
        kernels::number_slots(
            {.numbers = in[0], .map = in[1], .slot_of = in[2], .used = in[3], .slots = in[4]});
        kernels::map_slots({.map = in[1], .slots = in[4], .clear = true});
        in[3].zero();
      });
}

std::vector<OpCase> mark_bench_cases() {
  return one(fmt::format("{} of {}", kListed, kSlots),
             {Tensor::zeros({kSlots}, DType::u8), some_slots(kListed)}, 5.0 * kListed,
             [](const Tensors& in) { kernels::mark_slots({.marks = in[0], .slots = in[1]}); });
}

}  // namespace slotwise::testing
