#include <sys/mman.h>

#include <cstdlib>

#include "core/device_memory_bodies.h"

namespace slotwise::cpu {

// Blocks of many pages ask for huge ones: random rows of a large table then miss the TLB far less
// often.
void* allocate_bytes(std::size_t bytes) {
  constexpr std::size_t kCacheLine = 64, kHugePage = std::size_t{2} << 20;
  const std::size_t alignment = bytes >= 4 * kHugePage ? kHugePage : kCacheLine;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* block = std::aligned_alloc(alignment, rounded);
  if (block != nullptr && alignment == kHugePage) madvise(block, rounded, MADV_HUGEPAGE);
  return block;
}

void release_bytes(void* block) noexcept {
  std::free(block);
}

}  // namespace slotwise::cpu
