// LoRA (Hu et al. 2021): adapters hung on linear layers from outside. y = x W^T + (alpha / rank) (x
// A^T) B^T, A normal with std in^-1/2, B zero, so that nothing changes before the first step.
#pragma once

#include "layers/linear.h"

namespace slotwise {

struct LowRankConfig {
  std::int64_t rank = 8;
  double alpha = 16.0;
};

class LowRankAdapters {
 public:
  // Adapter parameters are named "<linear>.lora_A.weight" and "<linear>.lora_B.weight".
  LowRankAdapters(const std::vector<Linear>& linears, const LowRankConfig& config,
                  std::uint64_t seed, Device device);
  ~LowRankAdapters();  // takes the adapters off again
  LowRankAdapters(const LowRankAdapters&) = delete;
  LowRankAdapters& operator=(const LowRankAdapters&) = delete;

  const ParameterRegistry& parameters() const { return registry_; }
  // Adds scale * B A to the weights and takes the adapters off; unmerge() reverses both (up to fp32
  // rounding).
  void merge();
  void unmerge();

 private:
  void shift_weights(float factor);

  ParameterRegistry registry_;
  std::vector<Linear> linears_;
  std::vector<std::shared_ptr<const LowRankAdapter>> adapters_;
  bool merged_ = false;
};

}  // namespace slotwise
