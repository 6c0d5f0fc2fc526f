#pragma once

#include "simulated_gpu.h"

namespace cub {

// Lane i has keys [i * kItems, (i + 1) * kItems), before and after.
template <class Key, int kItems, int kLanes>
class WarpMergeSort {
 public:
  struct TempStorage {
    Key keys[kItems * kLanes];
  };
  explicit WarpMergeSort(TempStorage& storage) : storage_(storage) {}

  template <class Less>
  void Sort(Key (&keys)[kItems], Less less) {
    static_assert(kLanes == 32);
    const unsigned first = simulated_gpu::lane() * kItems;
    __syncwarp();
    for (int i = 0; i < kItems; ++i) storage_.keys[first + i] = keys[i];
    __syncwarp();
    if (first == 0) std::sort(storage_.keys, storage_.keys + kItems * kLanes, less);
    __syncwarp();
    for (int i = 0; i < kItems; ++i) keys[i] = storage_.keys[first + i];
  }

 private:
  TempStorage& storage_;
};

}  // namespace cub
