#include "core/device_memory.h"

#include <atomic>
#include <cstring>

#include "core/device_memory_bodies.h"

namespace slotwise {
namespace {

std::atomic<std::int64_t> g_copies_to_host{0};

}  // namespace

void* allocate_bytes(Device device, std::size_t bytes) {
  if (device.is_cuda()) return cuda::allocate_bytes(device, bytes);
  void* block = cpu::allocate_bytes(bytes);
  // As fresh memory of a GPU, it holds anything: here NaN.
  if (!device.is_cpu() && block != nullptr) std::memset(block, 0xff, bytes);
  return block;
}

void release_bytes(Device device, void* block) noexcept {
  device.is_cuda() ? cuda::release_bytes(device, block) : cpu::release_bytes(block);
}

void zero_bytes(Device device, void* block, std::size_t bytes) {
  if (bytes == 0) return;
  if (device.is_cuda()) {
    cuda::zero_bytes(device, block, bytes);
  } else {
    std::memset(block, 0, bytes);
  }
}

void copy_bytes(void* to, Device to_device, const void* from, Device from_device,
                std::size_t bytes) {
  if (bytes == 0) return;
  if (to_device.is_cpu() && !from_device.is_cpu()) ++g_copies_to_host;
  if (to_device.is_cuda() || from_device.is_cuda()) {
    cuda::copy_bytes(to, to_device, from, from_device, bytes);
  } else {
    std::memcpy(to, from, bytes);
  }
}

std::int64_t copies_to_host() {
  return g_copies_to_host;
}

}  // namespace slotwise
