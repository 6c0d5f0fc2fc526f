#pragma once

#include "simulated_gpu.h"

namespace cub {

class DeviceSelect {
 public:
  template <class In, class Flag, class Out, class Count>
  static cudaError_t Flagged(void* scratch, std::size_t& bytes, const In* in, const Flag* flags,
                             Out* out, Count* selected, int count, cudaStream_t) {
    if (scratch == nullptr) {
      bytes = 64;
      return cudaSuccess;
    }
    std::memset(scratch, 0xff, bytes);
    Count taken = 0;
    for (int i = 0; i < count; ++i) {
      if (flags[i]) out[taken++] = in[i];
    }
    *selected = taken;
    return cudaSuccess;
  }
};

}  // namespace cub
