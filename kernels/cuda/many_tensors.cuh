// One launch over many tensors: a list of entries on the device, of which each has a `first_block`;
// a block takes a stretch of kStretch elements of the entry that it falls into.
#pragma once

#include <vector>

#include "core/device_memory.h"
#include "kernels/cuda/launch.h"

namespace slotwise::kernels::cuda {

constexpr std::int64_t kStretch = 32 * kBlock;

inline std::int64_t stretches(std::int64_t elements) {
  return (elements + kStretch - 1) / kStretch;
}

// A copy on the device of entries of plain data.
template <class Entry>
class DeviceList {
 public:
  DeviceList(const std::vector<Entry>& entries, Device device)
      : bytes_(Tensor::empty({static_cast<std::int64_t>(entries.size() * sizeof(Entry))}, DType::u8,
                             device, "tensor list")),
        count_(static_cast<int>(entries.size())) {
    copy_bytes(bytes_.raw(), device, entries.data(), Device{}, bytes_.bytes());
  }
  const Entry* data() const { return static_cast<const Entry*>(bytes_.raw()); }
  int count() const { return count_; }

 private:
  Tensor bytes_;
  int count_;
};

#ifdef __CUDACC__

// The last entry that begins at or before this block.
template <class Entry>
__device__ inline int entry_of_block(const Entry* entries, int count) {
  int low = 0, high = count - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (entries[middle].first_block <= blockIdx.x) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

#endif

}  // namespace slotwise::kernels::cuda
