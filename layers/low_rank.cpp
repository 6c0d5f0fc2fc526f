#include "layers/low_rank.h"

#include <algorithm>
#include <cmath>

#include "kernels/gemm.h"

namespace slotwise {

LowRankAdapters::LowRankAdapters(const std::vector<Linear>& linears, const LowRankConfig& config,
                                 std::uint64_t seed, Device device)
    : registry_(seed, device), linears_(linears) {
  if (config.rank < 1) user_error("LoRA rank must be at least 1, got {}", config.rank);
  for (const Linear& linear : linears_) {
    const std::int64_t out = linear.weight().value().size(0), in = linear.weight().value().size(1);
    auto adapter = std::make_shared<LowRankAdapter>();
    adapter->a = registry_.create(linear.name() + ".lora_A.weight", {config.rank, in},
                                  ParameterKind::matrix, Init::normal(std::pow(in, -0.5)));
    adapter->b = registry_.create(linear.name() + ".lora_B.weight", {out, config.rank},
                                  ParameterKind::matrix, Init::constant(0.0f));
    adapter->scale = static_cast<float>(config.alpha / static_cast<double>(config.rank));
    linear.set_adapter(adapter);
    adapters_.push_back(std::move(adapter));
  }
}

LowRankAdapters::~LowRankAdapters() {
  for (const Linear& linear : linears_) linear.set_adapter(nullptr);
}

void LowRankAdapters::shift_weights(float factor) {
  for (std::size_t i = 0; i < linears_.size(); ++i) {
    const LowRankAdapter& adapter = *adapters_[i];
    kernels::gemm({.c = linears_[i].weight().value(),
                   .a = adapter.b.value(),
                   .b = adapter.a.value(),
                   .alpha = factor * adapter.scale,
                   .beta = 1.0f});
  }
}

void LowRankAdapters::merge() {
  SLOTWISE_CHECK(!merged_, "[lora] the adapters are merged already");
  shift_weights(1.0f);
  for (const Linear& linear : linears_) linear.set_adapter(nullptr);
  merged_ = true;
}

void LowRankAdapters::unmerge() {
  SLOTWISE_CHECK(merged_, "[lora] the adapters are not merged");
  shift_weights(-1.0f);
  for (std::size_t i = 0; i < linears_.size(); ++i) linears_[i].set_adapter(adapters_[i]);
  merged_ = false;
}

}  // namespace slotwise
