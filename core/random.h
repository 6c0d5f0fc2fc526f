// Counter-based random numbers (Philox4x32-10, Salmon et al. 2011): the number at (seed, stream,
// index) is a pure function, so results do not depend on threads, order or how often a run was
// resumed.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/tensor.h"

namespace slotwise {

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key);

// FNV-1a, to name a stream by a string ("weights/model.norm.weight").
std::uint64_t stream_id(std::string_view name);

class Random {
 public:
  Random(std::uint64_t seed, std::uint64_t stream) : seed_(seed), stream_(stream) {}
  Random(std::uint64_t seed, std::string_view stream) : Random(seed, stream_id(stream)) {}

  // Stateless: the numbers at an index.
  std::array<std::uint32_t, 4> words(std::uint64_t index) const;
  float uniform_at(std::uint64_t index) const;  // [0, 1), 24 bits
  float normal_at(std::uint64_t index) const;   // mean 0, std 1 (Box-Muller)
  // [0, bound) without bias to speak of: 64-bit multiply-shift.
  std::uint64_t below_at(std::uint64_t index, std::uint64_t bound) const;

  // Sequential use of the same numbers: the position is the whole state.
  float uniform() { return uniform_at(position_++); }
  float normal() { return normal_at(position_++); }
  std::uint64_t below(std::uint64_t bound) { return below_at(position_++, bound); }
  std::uint64_t position() const { return position_; }
  void seek(std::uint64_t position) { position_ = position; }

  // A random order of 0..count-1 (Fisher-Yates), consuming count - 1 positions.
  std::vector<std::int64_t> permutation(std::int64_t count);

 private:
  std::uint64_t seed_;
  std::uint64_t stream_;
  std::uint64_t position_ = 0;
};

// CPU tensors, f32.
void fill_normal(const Tensor& out, float std, const Random& random);
void fill_uniform(const Tensor& out, float low, float high, const Random& random);
void fill(const Tensor& out, float value);

}  // namespace slotwise
