// Sums the gradients of the trained parameters over ranks and rounds (train/sharding.h). Small ones
// travel together in buckets, large ones by themselves, each as soon as backward is done with it;
// of a table that a batch reaches by rows only the rows that some rank touched travel, and the sum
// is that of the dense exchange, bit for bit. Which rows those are the ranks tell one another by a
// bit for each, and the sum begins with the next bucket: a moment that all ranks share, so that
// they start the same verbs in the same order whatever the timing.
#pragma once

#include <unordered_map>
#include <vector>

#include "core/variable.h"
#include "layers/parameter.h"
#include "train/model_batch.h"

namespace slotwise {

class GradientExchange {
 public:
  // Of those parameters that require a gradient.
  GradientExchange(const std::vector<Parameter>& parameters, std::shared_ptr<Communicator> group);

  // Of one step, which begins with cleared gradients. After the last round every parameter's
  // gradient is the sum of all shards. Valid while this lives.
  RoundHooks hooks();

 private:
  struct Bucket {
    std::vector<std::size_t> members, sent;  // of variables_; those that have a gradient
    std::int64_t elements = 0;
    std::size_t ready = 0;  // members whose gradient is complete
    bool started = false;
    Tensor sum, before;
    std::unique_ptr<Transfer> reduction;
  };
  struct Table {
    std::size_t variable = 0;  // of variables_
    Tensor marks;              // of all ranks, while they travel
    Tensor rows, sum;          // [t], [t, D]; undefined where the gradient travels whole
    std::unique_ptr<Transfer> transfer;
  };
  void begin_round();
  void gradient_ready(const Variable& variable);
  void end_round();
  void start(Bucket& bucket);
  void finish(Bucket& bucket);
  void start_marks(Table& table);
  void start_rows();  // of all tables whose marks travel
  void finish(Table& table);

  std::shared_ptr<Communicator> group_;
  std::vector<Variable> variables_;
  std::vector<Table> tables_;  // row-sparse ones
  std::vector<Bucket> buckets_;
  std::unordered_map<const void*, std::size_t> bucket_of_;  // by the variable's identity
  std::vector<TouchedRows> total_;  // of earlier rounds, per variable; empty in the first
};

}  // namespace slotwise
