#pragma once

#include "simulated_gpu.h"

namespace cub {

template <class T, int kThreads>
class BlockScan {
 public:
  struct TempStorage {
    T values[kThreads];
  };
  explicit BlockScan(TempStorage& storage) : storage_(storage) {}

  // CUB leaves the barrier before the next use of the storage to its caller.
  void ExclusiveSum(T value, T& before, T& all) {
    storage_.values[threadIdx.x] = value;
    __syncthreads();
    before = all = 0;
    for (int i = 0; i < kThreads; ++i) {
      if (i < static_cast<int>(threadIdx.x)) before += storage_.values[i];
      all += storage_.values[i];
    }
  }

 private:
  TempStorage& storage_;
};

}  // namespace cub
