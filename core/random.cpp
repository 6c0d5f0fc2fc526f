#include "core/random.h"

#include <cmath>
#include <numbers>
#include <numeric>

#include "core/parallel.h"

namespace slotwise {
namespace {

constexpr std::int64_t kGrain = 1 << 14;

}  // namespace

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key) {
  constexpr std::uint64_t kMultiplier0 = 0xD2511F53u, kMultiplier1 = 0xCD9E8D57u;
  constexpr std::uint32_t kWeyl0 = 0x9E3779B9u, kWeyl1 = 0xBB67AE85u;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = kMultiplier0 * counter[0];
    const std::uint64_t product1 = kMultiplier1 * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

std::uint64_t stream_id(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

std::array<std::uint32_t, 4> Random::words(std::uint64_t index) const {
  const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
  return philox({low(index), high(index), low(stream_), high(stream_)}, {low(seed_), high(seed_)});
}

float Random::uniform_at(std::uint64_t index) const {
  return static_cast<float>(words(index)[0] >> 8) * 0x1p-24f;
}

float Random::normal_at(std::uint64_t index) const {
  const auto bits = words(index);
  // (0, 1]: the logarithm is always finite.
  const double radius = std::sqrt(-2.0 * std::log((bits[0] + 1.0) * 0x1p-32));
  const double angle = 2.0 * std::numbers::pi * (bits[1] * 0x1p-32);
  return static_cast<float>(radius * std::cos(angle));
}

std::uint64_t Random::below_at(std::uint64_t index, std::uint64_t bound) const {
  SLOTWISE_CHECK(bound > 0, "[random] below(0) has no value");
  const auto bits = words(index);
  const std::uint64_t value = (static_cast<std::uint64_t>(bits[1]) << 32) | bits[0];
  return static_cast<std::uint64_t>((static_cast<unsigned __int128>(value) * bound) >> 64);
}

std::vector<std::int64_t> Random::permutation(std::int64_t count) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (std::int64_t i = count - 1; i > 0; --i) {
    const auto j = below(static_cast<std::uint64_t>(i) + 1);
    std::swap(order[static_cast<std::size_t>(i)], order[static_cast<std::size_t>(j)]);
  }
  return order;
}

void fill_normal(const Tensor& out, float std, const Random& random) {
  float* values = out.data<float>();
  parallel_for(out.elements(), kGrain, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) {
      values[i] = std * random.normal_at(static_cast<std::uint64_t>(i));
    }
  });
}

void fill_uniform(const Tensor& out, float low, float high, const Random& random) {
  float* values = out.data<float>();
  parallel_for(out.elements(), kGrain, [&](std::int64_t begin, std::int64_t end, int) {
    for (std::int64_t i = begin; i < end; ++i) {
      values[i] = low + (high - low) * random.uniform_at(static_cast<std::uint64_t>(i));
    }
  });
}

void fill(const Tensor& out, float value) {
  for (float& x : out.span<float>()) x = value;
}

}  // namespace slotwise
