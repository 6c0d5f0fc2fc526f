#include <sys/mman.h>

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

// Blocks of many pages ask for huge ones: random rows of a large table then miss the TLB far less
// often.
void* allocate_bytes(Device device, std::size_t bytes) {
  require_cpu(device, "allocate_bytes");
  constexpr std::size_t kCacheLine = 64, kHugePage = std::size_t{2} << 20;
  const std::size_t alignment = bytes >= 4 * kHugePage ? kHugePage : kCacheLine;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* block = std::aligned_alloc(alignment, rounded);
  if (block != nullptr && alignment == kHugePage) madvise(block, rounded, MADV_HUGEPAGE);
  return block;
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
