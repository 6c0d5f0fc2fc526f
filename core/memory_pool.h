// A caching pool per device; every block is borrowed under a name, so that memory use can be read
// as a table. Blocks return to a free list by size class (8 classes an octave, so under 12.5 %
// waste) and are handed out again without touching the system allocator. In host memory, which the
// pool shares with other programs, live and free blocks together stay below 1.5 x the most that was
// live since trim() (or 64 MiB): past that all free ones go back to the system.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/dtype.h"

namespace slotwise {

struct AllocationRow {
  std::string name;
  std::size_t live_bytes = 0;
  std::size_t peak_bytes = 0;     // of this name alone
  std::size_t bytes_at_peak = 0;  // of this name when the whole pool stood at its peak
};

struct PoolReport {
  std::vector<AllocationRow> rows;  // largest at the pool's peak first
  std::size_t live_bytes = 0;
  std::size_t peak_bytes = 0;
  std::size_t cached_bytes = 0;  // free blocks kept for reuse
  std::string table() const;
};

class MemoryPool {
 public:
  static MemoryPool& of(Device device);

  // Throws Error naming the largest users when the device is out of memory. 64-byte aligned.
  // `name` must outlive the pool (a string literal).
  void* borrow(std::size_t bytes, const char* name);
  void give_back(void* block, std::size_t bytes, const char* name) noexcept;

  PoolReport report() const;
  void reset_peaks();
  void trim();  // frees the cached blocks: after work that needed larger ones than what comes

  ~MemoryPool();
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

 private:
  explicit MemoryPool(Device device);
  struct State;
  State* state_;
};

}  // namespace slotwise
