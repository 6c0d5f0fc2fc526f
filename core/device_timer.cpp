#include "core/device_timer.h"

#include "core/devices_bodies.h"

namespace slotwise {

DeviceTimer::DeviceTimer(Device device) : device_(device) {
  if (!device.is_cuda()) return;
  begin_ = cuda::make_event(device);
  end_ = cuda::make_event(device);
}

DeviceTimer::~DeviceTimer() {
  if (!device_.is_cuda()) return;
  cuda::release_event(begin_);
  cuda::release_event(end_);
}

void DeviceTimer::start() {
  start_ = std::chrono::steady_clock::now();
  if (device_.is_cuda()) cuda::record_event(device_, begin_);
}

double DeviceTimer::stop() {
  if (!device_.is_cuda()) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  cuda::record_event(device_, end_);
  return cuda::seconds_between(begin_, end_);
}

}  // namespace slotwise
