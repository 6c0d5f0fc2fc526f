#include "core/device_memory.h"

#include <cstring>

#include "core/device_memory_bodies.h"

namespace slotwise {

void* allocate_bytes(Device device, std::size_t bytes) {
  return device.is_cpu() ? cpu::allocate_bytes(bytes) : cuda::allocate_bytes(device, bytes);
}

void release_bytes(Device device, void* block) noexcept {
  device.is_cpu() ? cpu::release_bytes(block) : cuda::release_bytes(device, block);
}

void zero_bytes(Device device, void* block, std::size_t bytes) {
  if (bytes == 0) return;
  if (device.is_cpu()) {
    std::memset(block, 0, bytes);
  } else {
    cuda::zero_bytes(device, block, bytes);
  }
}

void copy_bytes(void* to, Device to_device, const void* from, Device from_device,
                std::size_t bytes) {
  if (bytes == 0) return;
  if (to_device.is_cpu() && from_device.is_cpu()) {
    std::memcpy(to, from, bytes);
  } else {
    cuda::copy_bytes(to, to_device, from, from_device, bytes);
  }
}

}  // namespace slotwise
