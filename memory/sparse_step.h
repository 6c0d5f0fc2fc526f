// One optimizer step of sparse memory finetuning, read as the method is told (SMF section 3):
//   count   every slot that the whole optimizer batch reads (all micro-batches, heads, layers on a
//   table) select  the rows that may change reduce  their gradients, from what the memory layers
//   kept in backward
// The caller then updates those rows and nothing else. With several ranks the counts are summed
// before the rows are ranked, so that all choose the same ones, and of the table's gradient only
// [t, d_v] travels. A batch may come in rounds (train/sharding.h): the rows' gradients of each are
// summed apart and added up in order, so that the sum does not depend on the number of ranks.
#pragma once

#include "core/communicator.h"
#include "core/row_gradient.h"
#include "memory/memory_model.h"
#include "memory/slot_selector.h"

namespace slotwise {

class SparseStep {
 public:
  // Hooks itself into the model's memory layers for as long as it lives. What must not count (an
  // evaluation in between) takes the model's hooks away and puts them back.
  SparseStep(MemoryModel& model, std::shared_ptr<SlotSelector> selector,
             std::int64_t rows_per_table, std::shared_ptr<Communicator> group = single_process());
  ~SparseStep();
  SparseStep(const SparseStep&) = delete;
  SparseStep& operator=(const SparseStep&) = delete;

  // What is kept from here on belongs to the next round. Not called: all is one round.
  void begin_round();
  // Forwards and backwards of one optimizer batch lie between two calls of finish().
  // One entry per table; no rows where the batch read none. On a device -1 may stand behind the
  // rows, with gradients of 0.
  std::vector<RowGradient> finish(std::int64_t step);
  // Slots that the last finished step read, all tables [tables] i32, on the device.
  const Tensor& accessed() const { return accessed_; }
  const AccessCounter& counter(int table) const {
    return counters_[static_cast<std::size_t>(table)];
  }

 private:
  RowGradient reduce(int table, const Tensor& rows);
  Tensor reduce_round(std::size_t table, std::size_t round, const Tensor& rows);

  MemoryModel& model_;
  std::shared_ptr<SlotSelector> selector_;
  std::int64_t rows_per_table_;
  std::vector<AccessCounter> counters_;
  std::shared_ptr<Communicator> group_;
  std::size_t rounds_ = 0;
  struct Kept {
    std::size_t round;
    KeptBag bag;
  };
  std::vector<std::vector<Kept>> kept_;  // per table
  std::vector<Tensor> row_of_slot_;      // [N] i32 per table, -1 but within reduce()
  Tensor accessed_;
};

}  // namespace slotwise
