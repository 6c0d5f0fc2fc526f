// Running statistics (of query BatchNorm) where a batch has several shards: every shard starts from
// those before the step, and the step leaves the mean of what the shards made of them, summed in
// the order of the shards. So all ranks keep the same ones, whatever their number.
#pragma once

#include <vector>

#include "memory/memory_model.h"
#include "train/sharding.h"

namespace slotwise {

class ShardStatistics {
 public:
  ShardStatistics(const MemoryModel& model, const Sharding& sharding);
  void begin_round();
  void end_round();
  void finish();

 private:
  const Sharding& sharding_;
  std::vector<Tensor> buffers_;         // the model's own
  std::vector<Tensor> before_, total_;  // before the step; summed over the rounds so far
};

}  // namespace slotwise
