#include <cstdlib>
#include <cstring>

#include "core/device_memory.h"
#include "core/error.h"

namespace slotwise {
namespace {

void require_cpu(Device device, const char* verb) {
  SLOTWISE_CHECK(device.is_cpu(), "[{}] this build has no CUDA backend; use --device cpu", verb);
}

}  // namespace

void* allocate_bytes(Device device, std::size_t bytes) {
  require_cpu(device, "allocate_bytes");
  constexpr std::size_t kAlignment = 64;
  return std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
}

void release_bytes(Device, void* block) noexcept {
  std::free(block);
}

void zero_bytes(Device device, void* block, std::size_t bytes) {
  require_cpu(device, "zero_bytes");
  if (bytes > 0) std::memset(block, 0, bytes);
}

void copy_bytes(void* to, Device to_device, const void* from, Device from_device,
                std::size_t bytes) {
  require_cpu(to_device, "copy_bytes");
  require_cpu(from_device, "copy_bytes");
  if (bytes > 0) std::memcpy(to, from, bytes);
}

}  // namespace slotwise
