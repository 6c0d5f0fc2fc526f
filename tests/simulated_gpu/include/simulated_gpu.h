// A GPU that the processor plays, so that CUDA sources run where there is none. The threads of a
// block are fibers that take turns on one core: a thread runs until it waits for others
// (__syncthreads, __syncwarp, a shuffle, a ballot) or ends; blocks follow each other. What it
// finds: wrong arithmetic and indices, uses of shared memory that no barrier orders (in another
// order of the threads: SLOTWISE_SIMULATED_ORDER=reverse or a number), barriers that not all
// threads reach, warp operations that name a lane which has ended; with AddressSanitizer reads and
// writes outside of memory, and misaligned ones with UBSan. What it cannot find: reads of static
// shared memory that was never written; races between blocks or between warps that go on without
// waiting, the compiler's and the hardware's own behaviour, time.
#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <tuple>

#define __global__
#define __device__
#define __host__
#define __noinline__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
// Blocks follow each other on a thread of the host, so its variables are the block's.
#define __shared__ static thread_local

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
inline float4 make_float4(float x, float y, float z, float w) {
  return {x, y, z, w};
}
inline float2 make_float2(float x, float y) {
  return {x, y};
}

extern thread_local uint3 threadIdx, blockIdx;
extern thread_local dim3 blockDim, gridDim;

namespace simulated_gpu {

struct Launch {
  dim3 grid, block;
  std::size_t shared_bytes = 0;
  cudaStream_t stream = nullptr;
};

void run(const Launch& settings, const std::function<void()>& thread);

// kernel<<<settings>>>(arguments): they are evaluated once, and copied for each thread.
template <class Kernel, class... Arguments>
void launch(const Launch& settings, Kernel&& kernel, const Arguments&... arguments) {
  const std::tuple<Arguments...> kept(arguments...);
  run(settings, [&] { std::apply(kernel, kept); });
}

void* dynamic_shared_memory();

enum class Operation { sync, shuffle, ballot };
// Of all lanes in `mask`: each gives eight bytes and gets those of the warp's 32 lanes.
const std::uint64_t* exchange(unsigned mask, std::uint64_t bits, Operation operation);
unsigned lane();
[[noreturn]] void trap();

}  // namespace simulated_gpu

void __syncthreads();
inline void __syncwarp(unsigned mask = 0xffffffffu) {
  simulated_gpu::exchange(mask, 0, simulated_gpu::Operation::sync);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int distance) {
  static_assert(sizeof(T) <= 8);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  const std::uint64_t* all = simulated_gpu::exchange(mask, bits, simulated_gpu::Operation::shuffle);
  T other;
  std::memcpy(&other, all + (simulated_gpu::lane() ^ static_cast<unsigned>(distance)),
              sizeof other);
  return other;
}
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  const std::uint64_t* all =
      simulated_gpu::exchange(mask, predicate != 0 ? 1 : 0, simulated_gpu::Operation::ballot);
  unsigned votes = 0;
  for (unsigned i = 0; i < 32; ++i) {
    if ((mask >> i & 1u) != 0 && all[i] != 0) votes |= 1u << i;
  }
  return votes;
}
inline int __popc(unsigned bits) {
  return std::popcount(bits);
}
inline int __ffs(int bits) {
  return bits == 0 ? 0 : std::countr_zero(static_cast<unsigned>(bits)) + 1;
}
inline float __uint_as_float(unsigned bits) {
  return std::bit_cast<float>(bits);
}
inline unsigned __float_as_uint(float value) {
  return std::bit_cast<unsigned>(value);
}
inline float rsqrtf(float x) {
  return 1.0f / std::sqrt(x);
}
using std::isfinite;
using std::isinf;
using std::isnan;
template <class A, class B>
constexpr std::common_type_t<A, B> min(A a, B b) {
  return b < a ? b : a;
}
template <class A, class B>
constexpr std::common_type_t<A, B> max(A a, B b) {
  return a < b ? b : a;
}
[[noreturn]] inline void __trap() {
  simulated_gpu::trap();
}

// Threads take turns, so a plain change is atomic.
template <class T>
T atomicAdd(T* place, std::type_identity_t<T> value) {
  const T before = *place;
  *place = before + value;
  return before;
}
template <class T>
T atomicMin(T* place, std::type_identity_t<T> value) {
  const T before = *place;
  *place = std::min(before, value);
  return before;
}
template <class T>
T atomicMax(T* place, std::type_identity_t<T> value) {
  const T before = *place;
  *place = std::max(before, value);
  return before;
}
