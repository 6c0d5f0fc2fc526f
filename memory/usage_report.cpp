#include "memory/usage_report.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace slotwise {
namespace {

// log N + sum z log z over the shares z; 0 for uniform, log N for one slot.
template <class T>
double kl_to_uniform(const std::vector<T>& mass) {
  const double total = std::accumulate(mass.begin(), mass.end(), 0.0);
  if (total <= 0) return 0.0;
  double sum = std::log(static_cast<double>(mass.size()));
  for (const T value : mass) {
    const double z = static_cast<double>(value) / total;
    if (z > 0) sum += z * std::log(z);
  }
  return sum;
}

}  // namespace

SlotUsage slot_usage(const std::vector<std::int64_t>& counts, const std::vector<double>& weights) {
  SlotUsage out;
  out.slots = static_cast<std::int64_t>(counts.size());
  out.accesses = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  out.kl_counts = kl_to_uniform(counts);
  out.kl_weights = kl_to_uniform(weights);
  if (out.accesses == 0) return out;
  std::vector<std::int64_t> sorted = counts;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  const auto n = static_cast<double>(out.slots), total = static_cast<double>(out.accesses);
  double weighted_rank = 0.0, held = 0.0;
  for (std::size_t i = 0; i < sorted.size() && sorted[i] > 0; ++i) {
    const auto count = static_cast<double>(sorted[i]);
    weighted_rank += (n - static_cast<double>(i)) * count;  // rank in ascending order, from 1
    held += count;
    const auto so_far = static_cast<std::int64_t>(i) + 1;
    if (out.slots_50 == 0 && held >= 0.50 * total) out.slots_50 = so_far;
    if (out.slots_90 == 0 && held >= 0.90 * total) out.slots_90 = so_far;
    if (out.slots_99 == 0 && held >= 0.99 * total) out.slots_99 = so_far;
    out.used = static_cast<double>(so_far) / n;
  }
  out.gini = 2.0 * weighted_rank / (n * total) - (n + 1.0) / n;
  return out;
}

std::string SlotUsage::text() const {
  return fmt::format(
      "{} accesses to {} slots\n"
      "  used                     {:.1f} %\n"
      "  KL to uniform, counts    {:.3f} nats\n"
      "  KL to uniform, weights   {:.3f} nats\n"
      "  Gini of the counts       {:.3f}\n"
      "  50 / 90 / 99 % of the accesses lie on {} / {} / {} slots\n",
      accesses, slots, 100.0 * used, kl_counts, kl_weights, gini, slots_50, slots_90, slots_99);
}

UsageMeter::UsageMeter(MemoryModel& model)
    : model_(model),
      counts_(model.tables().size(),
              std::vector<std::int64_t>(static_cast<std::size_t>(model.config().memory.slots()))),
      weights_(model.tables().size(),
               std::vector<double>(static_cast<std::size_t>(model.config().memory.slots()))) {
  model_.hooks().expect_unwatched();
  model_.hooks().on_access = [this](const Access& access) { add(access); };
}

UsageMeter::~UsageMeter() {
  model_.hooks().on_access = nullptr;
}

void UsageMeter::add(const Access& access) {
  const auto slots = access.slots.to_vector<std::int32_t>();
  const auto weights = access.weights.to_vector<float>();
  const auto valid =
      access.valid.defined() ? access.valid.to_vector<std::uint8_t>() : std::vector<std::uint8_t>();
  const auto width = static_cast<std::size_t>(access.slots.size(1));
  auto& counts = counts_[static_cast<std::size_t>(access.table)];
  auto& mass = weights_[static_cast<std::size_t>(access.table)];
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (!valid.empty() && valid[i / width] == 0) continue;
    ++counts[static_cast<std::size_t>(slots[i])];
    mass[static_cast<std::size_t>(slots[i])] += static_cast<double>(weights[i]);
  }
}

SlotUsage UsageMeter::usage(int table) const {
  return slot_usage(counts_[static_cast<std::size_t>(table)],
                    weights_[static_cast<std::size_t>(table)]);
}

}  // namespace slotwise
