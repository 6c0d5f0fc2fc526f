#include "train/shard_statistics.h"

namespace slotwise {

ShardStatistics::ShardStatistics(const MemoryModel& model, const Sharding& sharding)
    : sharding_(sharding) {
  for (const Parameter& parameter : model.parameters().all()) {
    if (parameter.kind != ParameterKind::buffer) continue;
    buffers_.push_back(parameter.variable.value());
    before_.push_back(buffers_.back().clone("running statistics"));
  }
  total_.resize(buffers_.size());
}

void ShardStatistics::begin_round() {
  for (std::size_t i = 0; i < buffers_.size(); ++i) buffers_[i].copy_from(before_[i]);
}

void ShardStatistics::end_round() {
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    const Tensor sum = buffers_[i].clone("running statistics");
    sharding_.group->all_reduce_sum(sum, total_[i]);
    total_[i] = sum;
  }
}

void ShardStatistics::finish() {
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    std::vector<float> mean = total_[i].to_vector<float>();
    for (float& each : mean) each /= static_cast<float>(sharding_.shards);
    buffers_[i].copy_from(Tensor::from(mean, buffers_[i].shape()));
  }
}

}  // namespace slotwise
