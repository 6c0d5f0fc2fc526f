// Sums the gradients of the trained parameters over ranks and rounds (train/sharding.h). Small ones
// travel together in buckets, large ones by themselves; of a table that a batch reaches by rows
// only the rows that some rank touched travel, and the sum is that of the dense exchange, bit for
// bit.
#pragma once

#include <vector>

#include "core/variable.h"
#include "layers/parameter.h"
#include "train/sharding.h"

namespace slotwise {

class GradientExchange {
 public:
  // Of those parameters that require a gradient.
  GradientExchange(const std::vector<Parameter>& parameters, std::shared_ptr<Communicator> group);

  // Puts the sum of earlier rounds aside. A step begins with cleared gradients.
  void begin_round();
  // Afterwards every parameter's gradient is the sum over all ranks and the rounds so far.
  void end_round();

 private:
  struct Bucket {
    std::vector<std::size_t> members, sent;  // of variables_; those that have a gradient
    std::int64_t elements = 0;
    Tensor sum, before;
    std::unique_ptr<Reduction> reduction;
  };
  void start(Bucket& bucket);
  void finish(Bucket& bucket);
  void exchange_rows(std::size_t variable);
  std::vector<std::int32_t> union_of(const std::vector<std::int32_t>& rows) const;

  std::shared_ptr<Communicator> group_;
  std::vector<Variable> variables_;
  std::vector<std::size_t> tables_;  // of variables_: row-sparse ones
  std::vector<Bucket> buckets_;
  std::vector<TouchedRows> total_;  // of earlier rounds, per variable; empty in the first
};

}  // namespace slotwise
