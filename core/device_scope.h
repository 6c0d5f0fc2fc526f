// Whose memory the running code may touch: outside of ops the host's alone, inside an op that of
// the op's device alone. Tensor::raw() (and with it data() and span()) throws elsewhere, so a
// forgotten copy is an error that names itself and not a crash.
#pragma once

#include <utility>

#include "core/dtype.h"

namespace slotwise {

class DeviceScope {
 public:
  explicit DeviceScope(Device device) : before_(std::exchange(current_, device)) {}
  ~DeviceScope() { current_ = before_; }
  DeviceScope(const DeviceScope&) = delete;
  DeviceScope& operator=(const DeviceScope&) = delete;

  static Device current() { return current_; }

 private:
  static constinit inline thread_local Device current_{};
  Device before_;
};

}  // namespace slotwise
