// What the tests of the memory kernels share: comparing bits, and running under a thread count.
#pragma once

#include <omp.h>

#include <cstring>
#include <vector>

#include "core/tensor.h"

namespace slotwise::testing {

inline bool equal_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
}

// Runs `compute` with a number of OpenMP threads and puts the old number back.
template <class Compute>
auto with_threads(int threads, Compute&& compute) {
  struct Restore {
    int before;
    ~Restore() { omp_set_num_threads(before); }
  } restore{omp_get_max_threads()};
  omp_set_num_threads(threads);
  return compute();
}

// True when `compute` (returns tensors) gives the same bits twice and under 1, 2 and 3 threads.
template <class Compute>
bool same_bits_on_any_threads(Compute&& compute) {
  const std::vector<Tensor> expected = with_threads(1, compute);
  for (const int threads : {1, 2, 3}) {
    const std::vector<Tensor> actual = with_threads(threads, compute);
    if (actual.size() != expected.size()) return false;
    for (std::size_t i = 0; i < actual.size(); ++i) {
      if (!equal_bits(actual[i], expected[i])) return false;
    }
  }
  return true;
}

// A tensor full of a value that a kernel must overwrite.
inline Tensor poisoned(const Shape& shape) {
  return Tensor::from(std::vector<float>(static_cast<std::size_t>(shape.elements()), 1e30f), shape);
}
inline Tensor poisoned_integers(const Shape& shape) {
  return Tensor::from(std::vector<std::int32_t>(static_cast<std::size_t>(shape.elements()), -12345),
                      shape);
}

}  // namespace slotwise::testing
