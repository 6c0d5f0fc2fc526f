// CUB's sorts of bits [begin, end) of keys, stable.
#pragma once

#include <algorithm>
#include <numeric>
#include <type_traits>
#include <vector>

#include "simulated_gpu.h"

namespace cub {

class DeviceRadixSort {
 public:
  template <class Key>
  static cudaError_t SortKeys(void* scratch, std::size_t& bytes, const Key* in, Key* out, int count,
                              int begin, int end, cudaStream_t) {
    return sort(scratch, bytes, in, out, static_cast<const int*>(nullptr),
                static_cast<int*>(nullptr), count, begin, end, false);
  }
  template <class Key>
  static cudaError_t SortKeysDescending(void* scratch, std::size_t& bytes, const Key* in, Key* out,
                                        int count, int begin, int end, cudaStream_t) {
    return sort(scratch, bytes, in, out, static_cast<const int*>(nullptr),
                static_cast<int*>(nullptr), count, begin, end, true);
  }
  template <class Key, class Value>
  static cudaError_t SortPairs(void* scratch, std::size_t& bytes, const Key* in, Key* out,
                               const Value* values, Value* sorted, int count, int begin, int end,
                               cudaStream_t) {
    return sort(scratch, bytes, in, out, values, sorted, count, begin, end, false);
  }

 private:
  // Signed keys are ordered with their sign bit turned, as CUB does.
  template <class Key>
  static std::uint64_t digits(Key key, int begin, int end) {
    using Bits = std::make_unsigned_t<Key>;
    Bits bits = static_cast<Bits>(key);
    if (std::is_signed_v<Key>) bits ^= Bits{1} << (8 * sizeof(Key) - 1);
    const std::uint64_t below = end >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << end) - 1;
    return (static_cast<std::uint64_t>(bits) & below) >> begin;
  }
  template <class Key, class Value>
  static cudaError_t sort(void* scratch, std::size_t& bytes, const Key* in, Key* out,
                          const Value* values, Value* sorted, int count, int begin, int end,
                          bool descending) {
    if (scratch == nullptr) {
      bytes = static_cast<std::size_t>(count) * sizeof(Key) + 1;
      return cudaSuccess;
    }
    std::memset(scratch, 0xff, bytes);
    std::vector<int> order(static_cast<std::size_t>(count));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
      const std::uint64_t x = digits(in[a], begin, end), y = digits(in[b], begin, end);
      return descending ? y < x : x < y;
    });
    for (int i = 0; i < count; ++i) {
      out[i] = in[order[static_cast<std::size_t>(i)]];
      if (values != nullptr) sorted[i] = values[order[static_cast<std::size_t>(i)]];
    }
    return cudaSuccess;
  }
};

}  // namespace cub
