// The CUDA side of core/devices.h; without CUDA there is none. CMake chooses the file.
#pragma once

#include "core/devices.h"

namespace slotwise::cuda {

struct DeviceFacts {
  std::string name;
  int capability = 0;  // 90: 9.0
  std::size_t memory_bytes = 0;
  std::string fault;  // why it cannot be used, as the end of a sentence; "" when it can
};

DeviceFacts device_facts(int index);
std::string absence();  // why device_count() is 0

// For core/device_timer.h.
void* make_event(Device device);
void record_event(Device device, void* event);
double seconds_between(void* begin, void* end);  // waits for `end`
void release_event(void* event) noexcept;

}  // namespace slotwise::cuda
