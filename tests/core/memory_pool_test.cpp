// The caching pool: reuse, names, peaks and the table.
#include "core/memory_pool.h"

#include <gtest/gtest.h>

#include "core/tensor.h"
#include "tests/data/temporary_folder.h"

namespace slotwise::testing {
namespace {

AllocationRow row_of(const char* name) {
  for (const AllocationRow& row : MemoryPool::of({}).report().rows) {
    if (row.name == name) return row;
  }
  ADD_FAILURE() << "no row " << name;
  return {};
}

TEST(MemoryPool, ReusesBlocksOfOneSizeClass) {
  MemoryPool& pool = MemoryPool::of({});
  pool.trim();
  EXPECT_EQ(pool.report().cached_bytes, 0u);
  void* first = pool.borrow(100000, "pool reuse");
  pool.give_back(first, 100000, "pool reuse");
  const std::size_t cached = pool.report().cached_bytes;
  EXPECT_GE(cached, 100000u);
  EXPECT_LE(cached, 112500u);
  void* second = pool.borrow(99000, "pool reuse");  // of the same class
  EXPECT_EQ(second, first);
  EXPECT_EQ(pool.report().cached_bytes, 0u);
  void* third = pool.borrow(200000, "pool reuse");
  EXPECT_NE(third, first);
  pool.give_back(second, 99000, "pool reuse");
  pool.give_back(third, 200000, "pool reuse");
  EXPECT_EQ(row_of("pool reuse").live_bytes, 0u);
  pool.trim();
  EXPECT_EQ(pool.report().cached_bytes, 0u);
}

TEST(MemoryPool, WastesLessThanAnEighthAndAligns) {
  MemoryPool& pool = MemoryPool::of({});
  for (std::size_t bytes = 4097; bytes < 300000; bytes = bytes * 17 / 16 + 13) {
    void* block = pool.borrow(bytes, "pool waste");
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 64, 0u);
    const std::size_t live = row_of("pool waste").live_bytes;
    EXPECT_GE(live, bytes);
    EXPECT_LE(static_cast<double>(live), 1.125 * static_cast<double>(bytes)) << bytes;
    pool.give_back(block, bytes, "pool waste");
  }
  pool.trim();
}

TEST(MemoryPool, RemembersPeaksByName) {
  MemoryPool& pool = MemoryPool::of({});
  pool.reset_peaks();
  const std::size_t before = pool.report().live_bytes;
  constexpr std::size_t kSmall = 1 << 20, kLarge = 4 << 20;
  { const Tensor alone = Tensor::empty({2 * kSmall}, DType::u8, {}, "pool early"); }
  {
    const Tensor a = Tensor::empty({kSmall}, DType::u8, {}, "pool early");
    const Tensor b = Tensor::empty({kLarge}, DType::u8, {}, "pool late");
    EXPECT_EQ(pool.report().live_bytes, before + kSmall + kLarge);
  }
  const PoolReport report = pool.report();
  EXPECT_EQ(report.live_bytes, before);
  EXPECT_EQ(report.peak_bytes, before + kSmall + kLarge);
  EXPECT_EQ(row_of("pool early").peak_bytes, 2 * kSmall);
  EXPECT_EQ(row_of("pool early").bytes_at_peak, kSmall);
  EXPECT_EQ(row_of("pool late").bytes_at_peak, kLarge);
  EXPECT_EQ(row_of("pool late").live_bytes, 0u);
  EXPECT_EQ(report.rows[0].name, "pool late");
  EXPECT_TRUE(contains(report.table(), "pool late"));
  EXPECT_TRUE(contains(report.table(), "4.00 MiB"));
  pool.reset_peaks();
  EXPECT_EQ(pool.report().peak_bytes, before);
  EXPECT_EQ(row_of("pool late").peak_bytes, 0u);
  pool.trim();
}

TEST(MemoryPool, KeepsNoMoreThanHalfOfWhatWasEverLive) {
  MemoryPool& pool = MemoryPool::of({});
  pool.trim();
  const PoolReport before = pool.report();
  constexpr std::size_t kMost = std::size_t{200} << 20;
  std::size_t largest = 0;
  for (std::size_t bytes = 64 << 20; bytes <= kMost; bytes += 8 << 20) {  // many size classes
    pool.give_back(pool.borrow(bytes, "pool varying"), bytes, "pool varying");
    largest = std::max(largest, pool.report().cached_bytes);
  }
  const std::size_t ever = std::max(before.live_bytes + kMost * 9 / 8, before.peak_bytes);
  EXPECT_LE(largest, ever * 3 / 2);
  EXPECT_GE(largest, std::size_t{64} << 20);  // that it keeps some is what it is for
  pool.trim();
}

TEST(MemoryPool, SaysWhatIsHeldWhenMemoryIsOut) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the address sanitizer ends the program instead of returning null";
#endif
  const Tensor held = Tensor::empty({1 << 20}, DType::u8, {}, "pool holder");
  try {
    MemoryPool::of({}).borrow(std::size_t{1} << 60, "pool giant");
    FAIL() << "an exbibyte was handed out";
  } catch (const Error& error) {
    EXPECT_TRUE(contains(error.what(), "pool giant")) << error.what();
    EXPECT_TRUE(contains(error.what(), "pool holder"));
  }
}

}  // namespace
}  // namespace slotwise::testing
