// How long a device works on what it is told between two calls: by CUDA events on a GPU, which do
// not count the host's own time, and by the clock elsewhere.
#pragma once

#include <chrono>

#include "core/dtype.h"

namespace slotwise {

class DeviceTimer {
 public:
  explicit DeviceTimer(Device device);
  ~DeviceTimer();
  DeviceTimer(const DeviceTimer&) = delete;
  DeviceTimer& operator=(const DeviceTimer&) = delete;

  void start();
  double stop();  // seconds since start(); waits for the device

 private:
  Device device_;
  void* begin_ = nullptr;  // events of a GPU
  void* end_ = nullptr;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace slotwise
