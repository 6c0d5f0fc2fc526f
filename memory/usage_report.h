// How evenly a model uses its slots over a set of texts (Lample et al. 2019; MLS).
#pragma once

#include <string>
#include <vector>

#include "memory/memory_model.h"

namespace slotwise {

struct SlotUsage {
  std::int64_t slots = 0;
  std::int64_t accesses = 0;
  double used = 0;            // share of slots read at all
  double kl_counts = 0;       // log N + sum z log z for access counts: KL to uniform, nats
  double kl_weights = 0;      // the same for summed weights
  double gini = 0;            // of the counts: 0 even, 1 all on one slot
  std::int64_t slots_50 = 0;  // fewest slots that hold 50, 90, 99 % of the accesses
  std::int64_t slots_90 = 0;
  std::int64_t slots_99 = 0;
  std::string text() const;
};

SlotUsage slot_usage(const std::vector<std::int64_t>& counts, const std::vector<double>& weights);

// Collects over forwards for as long as it lives.
class UsageMeter {
 public:
  explicit UsageMeter(MemoryModel& model);
  ~UsageMeter();
  SlotUsage usage(int table) const;
  const std::vector<std::int64_t>& counts(int table) const {
    return counts_[static_cast<std::size_t>(table)];
  }

 private:
  void add(const Access& access);

  MemoryModel& model_;
  std::vector<std::vector<std::int64_t>> counts_;
  std::vector<std::vector<double>> weights_;
};

}  // namespace slotwise
