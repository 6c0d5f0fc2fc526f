// Uninitialised memory for the length of a call, from the pool, so that it is named in reports and
// comes without page faults the second time.
#pragma once

#include <type_traits>

#include "core/device_scope.h"
#include "core/tensor.h"

namespace slotwise::kernels::cpu {

template <class T>
class Scratch {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  Scratch(std::int64_t count, const char* name)
      : bytes_(Tensor::empty({count * static_cast<std::int64_t>(sizeof(T))}, DType::u8,
                             DeviceScope::current(), name)),
        data_(static_cast<T*>(bytes_.raw())) {}

  T* data() const { return data_; }

 private:
  Tensor bytes_;
  T* data_;
};

}  // namespace slotwise::kernels::cpu
