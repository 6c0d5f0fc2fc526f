#include "core/memory_pool.h"

#include <algorithm>
#include <bit>
#include <map>
#include <mutex>
#include <string_view>

#include "core/device_memory.h"
#include "core/error.h"

namespace slotwise {
namespace {

constexpr std::size_t kSmallestBlock = 512;
constexpr std::size_t kAlwaysCached = std::size_t{64} << 20;

std::size_t block_size(std::size_t bytes) {
  if (bytes <= kSmallestBlock) return kSmallestBlock;
  const std::size_t step = std::bit_ceil(bytes) / 16;
  return (bytes + step - 1) / step * step;
}

std::string megabytes(std::size_t bytes) {
  return fmt::format("{:.2f} MiB", static_cast<double>(bytes) / (1024.0 * 1024.0));
}

}  // namespace

struct MemoryPool::State {
  struct Usage {
    std::size_t live = 0, peak = 0, at_pool_peak = 0;
  };

  Device device;
  mutable std::mutex mutex;
  std::map<std::size_t, std::vector<void*>> free_blocks;
  std::map<std::string_view, Usage> usage;
  std::size_t live = 0, peak = 0, cached = 0;
  std::size_t most_live = 0;     // since trim(): as the peak, which is reset at every step
  bool peak_is_current = false;  // per-name figures still have to be taken for the present peak

  void freeze_peak() {
    if (!peak_is_current) return;
    for (auto& [name, entry] : usage) entry.at_pool_peak = entry.live;
    peak_is_current = false;
  }

  void release_cached() {
    for (auto& [size, blocks] : free_blocks) {
      for (void* block : blocks) release_bytes(device, block);
    }
    free_blocks.clear();
    cached = 0;
  }

  // Batches of ever other sizes would leave blocks in every class.
  // The largest blocks first: small ones are asked for again in every step.
  void release_down_to_bound() {
    while (cached > 0 && caches_too_much()) {
      const auto largest = std::prev(free_blocks.end());
      if (!largest->second.empty()) {
        release_bytes(device, largest->second.back());
        largest->second.pop_back();
        cached -= largest->first;
      }
      if (largest->second.empty()) free_blocks.erase(largest);
    }
  }

  bool caches_too_much() const {
    return !device.is_cuda() && live + cached > std::max(most_live + most_live / 2, kAlwaysCached);
  }

  void* take(std::size_t size) {
    auto found = free_blocks.find(size);
    if (found != free_blocks.end() && !found->second.empty()) {
      void* block = found->second.back();
      found->second.pop_back();
      cached -= size;
      return block;
    }
    void* block = allocate_bytes(device, size);
    if (block == nullptr) {
      release_cached();
      block = allocate_bytes(device, size);
    }
    return block;
  }

  // "memory values 12.00 MiB, gradients 8.00 MiB": the three that hold most, for a message.
  std::string largest_users() {
    std::string out = "nothing";
    std::vector<std::pair<std::size_t, std::string_view>> users;
    for (const auto& [name, entry] : usage) users.emplace_back(entry.live, name);
    std::sort(users.rbegin(), users.rend());
    constexpr std::size_t kMost = 3;
    for (std::size_t i = 0; i < std::min(kMost, users.size()) && users[i].first > 0; ++i) {
      out = fmt::format("{}{} {}", i == 0 ? "" : out + ", ", users[i].second,
                        megabytes(users[i].first));
    }
    return out;
  }

  PoolReport make_report() {
    freeze_peak();
    PoolReport report;
    report.live_bytes = live;
    report.peak_bytes = peak;
    report.cached_bytes = cached;
    for (const auto& [name, entry] : usage) {
      report.rows.push_back({std::string(name), entry.live, entry.peak, entry.at_pool_peak});
    }
    std::stable_sort(report.rows.begin(), report.rows.end(), [](const auto& a, const auto& b) {
      return a.bytes_at_peak > b.bytes_at_peak;
    });
    return report;
  }
};

std::string PoolReport::table() const {
  std::string out = fmt::format("{:<34}{:>14}{:>14}{:>14}\n", "allocation", "at the peak",
                                "own peak", "live now");
  for (const AllocationRow& row : rows) {
    out += fmt::format("{:<34}{:>14}{:>14}{:>14}\n", row.name, megabytes(row.bytes_at_peak),
                       megabytes(row.peak_bytes), megabytes(row.live_bytes));
  }
  out += fmt::format("{:<34}{:>14}{:>14}{:>14}\n", "all", megabytes(peak_bytes),
                     megabytes(peak_bytes), megabytes(live_bytes));
  out += fmt::format("{:<34}{:>14}{:>14}{:>14}\n", "free, kept for reuse", "", "",
                     megabytes(cached_bytes));
  return out;
}

MemoryPool& MemoryPool::of(Device device) {
  // Never destroyed: tensors in static storage may outlive any order of destruction we could pick.
  static std::mutex mutex;
  static auto* pools = new std::map<std::pair<int, int>, MemoryPool*>();
  const std::lock_guard lock(mutex);
  MemoryPool*& pool = (*pools)[{static_cast<int>(device.type), device.index}];
  if (pool == nullptr) pool = new MemoryPool(device);
  return *pool;
}

MemoryPool::MemoryPool(Device device) : state_(new State) {
  state_->device = device;
}

MemoryPool::~MemoryPool() {
  state_->release_cached();
  delete state_;
}

void* MemoryPool::borrow(std::size_t bytes, const char* name) {
  const std::size_t size = block_size(bytes);
  const std::lock_guard lock(state_->mutex);
  void* block = state_->take(size);
  if (block == nullptr) {
    fail(
        "out of memory: {} for '{}' do not fit on {} beside {} in use ({}); use a smaller model or "
        "batch",
        megabytes(size), name, name_of(state_->device.type), megabytes(state_->live),
        state_->largest_users());
  }
  State::Usage& entry = state_->usage[name];
  entry.live += size;
  entry.peak = std::max(entry.peak, entry.live);
  state_->live += size;
  state_->most_live = std::max(state_->most_live, state_->live);
  if (state_->live > state_->peak) {
    state_->peak = state_->live;
    state_->peak_is_current = true;
  }
  return block;
}

void MemoryPool::give_back(void* block, std::size_t bytes, const char* name) noexcept {
  const std::size_t size = block_size(bytes);
  const std::lock_guard lock(state_->mutex);
  state_->freeze_peak();
  state_->usage[name].live -= size;
  state_->live -= size;
  state_->cached += size;
  state_->free_blocks[size].push_back(block);
  state_->release_down_to_bound();
}

PoolReport MemoryPool::report() const {
  const std::lock_guard lock(state_->mutex);
  return state_->make_report();
}

void MemoryPool::reset_peaks() {
  const std::lock_guard lock(state_->mutex);
  for (auto& [name, entry] : state_->usage) {
    entry.peak = entry.live;
    entry.at_pool_peak = entry.live;
  }
  state_->peak = state_->live;
  state_->peak_is_current = false;
}

void MemoryPool::trim() {
  const std::lock_guard lock(state_->mutex);
  state_->release_cached();
  state_->most_live = state_->live;
}

}  // namespace slotwise
