#include "core/pinned_ring_cuda.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "core/cuda_stream.h"

namespace slotwise {
namespace {

constexpr std::size_t kBlockBytes = std::size_t{1} << 20;
constexpr std::size_t kBlocks = 16;

struct Block {
  void* memory = nullptr;
  cudaEvent_t copied = nullptr;
};

struct Ring {
  std::vector<Block> blocks;
  std::size_t next = 0;

  void copy(cudaStream_t stream, void* to, const void* from, std::size_t bytes) {
    const char* op = "copy_bytes";
    if (blocks.size() < kBlocks) {
      Block fresh;
      check_cuda(cudaHostAlloc(&fresh.memory, kBlockBytes, cudaHostAllocDefault), op,
                 "cudaHostAlloc");
      check_cuda(cudaEventCreateWithFlags(&fresh.copied, cudaEventDisableTiming), op,
                 "cudaEventCreate");
      next = blocks.size();
      blocks.push_back(fresh);
    } else {
      next = (next + 1) % kBlocks;
    }
    const Block& block = blocks[next];
    check_cuda(cudaEventSynchronize(block.copied), op, "cudaEventSynchronize");
    std::memcpy(block.memory, from, bytes);
    check_cuda(cudaMemcpyAsync(to, block.memory, bytes, cudaMemcpyHostToDevice, stream), op,
               "cudaMemcpyAsync");
    check_cuda(cudaEventRecord(block.copied, stream), op, "cudaEventRecord");
  }
};

}  // namespace

void copy_through_ring(Device device, void* to, const void* from, std::size_t bytes) {
  // Never destroyed, as the streams are not.
  static std::mutex mutex;
  static auto* rings = new std::map<int, Ring>();
  const cudaStream_t stream = cuda_stream(device);
  const std::lock_guard lock(mutex);
  Ring& ring = (*rings)[device.index];
  for (std::size_t at = 0; at < bytes; at += kBlockBytes) {
    ring.copy(stream, static_cast<char*>(to) + at, static_cast<const char*>(from) + at,
              std::min(kBlockBytes, bytes - at));
  }
}

}  // namespace slotwise
