// The threads of a block as fibers. One fiber runs threads one after the other as long as none
// waits; where one waits, it keeps the fiber, and another fiber takes the threads that have not
// begun. So a kernel without barriers costs no switch at all.
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cstdlib>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "core/error.h"
#include "simulated_gpu.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

thread_local uint3 threadIdx{}, blockIdx{};
thread_local dim3 blockDim, gridDim;

namespace simulated_gpu {
namespace {

using slotwise::fail;

constexpr std::size_t kStackBytes = std::size_t{256} << 10;
constexpr unsigned kMostThreads = 1024, kMostSharedBytes = 227 * 1024;

struct Trap {};

struct Warp {
  unsigned existing = 0, ended = 0, arrived = 0;  // lanes
  unsigned mask = 0;
  Operation operation = Operation::sync;
  std::uint64_t generation = 0;
  std::uint64_t values[2][32] =
      {};  // of this generation and the one before, which lanes still read
};

// Where a flow of control stands. A jump costs no system call, as swapcontext would; that it leaves
// a stack without unwinding it only AddressSanitizer minds, which is told of changes of context.
struct Place {
#ifdef __SANITIZE_ADDRESS__
  ucontext_t context{};
#else
  jmp_buf context{};
#endif
};

[[noreturn]] void go(Place& to) {
#ifdef __SANITIZE_ADDRESS__
  setcontext(&to.context);
  std::abort();
#else
  _longjmp(to.context, 1);
#endif
}

void go(Place& from, Place& to) {
#ifdef __SANITIZE_ADDRESS__
  swapcontext(&from.context, &to.context);
#else
  if (_setjmp(from.context) == 0) _longjmp(to.context, 1);
#endif
}

// To a stack that nobody has run on.
void begin(Place& from, ucontext_t& to) {
#ifdef __SANITIZE_ADDRESS__
  swapcontext(&from.context, &to);
#else
  if (_setjmp(from.context) == 0) setcontext(&to);
#endif
}

struct Fiber {
  Place place;
  void* stack = nullptr;
  unsigned thread = 0;
  bool idle = true;  // holds no thread
  // Waits while *counter is still at `seen`.
  const std::uint64_t* counter = nullptr;
  std::uint64_t seen = 0;
  void* sanitizer_stack = nullptr;
};

class Block {
 public:
  void run(const Launch& settings, const std::function<void()>& thread);
  void wait_for_block();
  const std::uint64_t* exchange(unsigned mask, std::uint64_t bits, Operation operation);
  void* shared() { return shared_.get(); }
  unsigned thread() const { return current_->thread; }

 private:
  void make_order(unsigned threads);
  void fiber_main();
  static void enter() { current_block()->fiber_main(); }
  void resume(Fiber& fiber);
  void suspend(const std::uint64_t& counter);
  void end_thread(unsigned thread);
  void release_block_if_all_wait();
  void show(unsigned thread) const;
  Fiber& idle_fiber();

 public:
  static Block*& current_block() {
    static thread_local Block* block = nullptr;
    return block;
  }

 private:
  std::vector<std::unique_ptr<Fiber>> fibers_;
  Fiber* current_ = nullptr;
  Place scheduler_;
  const std::function<void()>* body_ = nullptr;
  std::vector<unsigned> order_;
  std::size_t begun_ = 0;
  unsigned threads_ = 0, ended_ = 0, waiting_ = 0;
  std::uint64_t barriers_ = 0;
  std::vector<Warp> warps_;
  std::unique_ptr<unsigned char[]> shared_;
  std::string fault_;
  bool trapped_ = false;
  const void* scheduler_stack_ = nullptr;
  std::size_t scheduler_stack_bytes_ = 0;
};

void Block::make_order(unsigned threads) {
  order_.resize(threads);
  std::iota(order_.begin(), order_.end(), 0u);
  const char* wanted = std::getenv("SLOTWISE_SIMULATED_ORDER");
  if (wanted == nullptr) return;
  if (std::string(wanted) == "reverse") {
    std::reverse(order_.begin(), order_.end());
  } else {
    std::mt19937 random(static_cast<unsigned>(std::atoi(wanted)));
    std::shuffle(order_.begin(), order_.end(), random);
  }
}

void Block::show(unsigned thread) const {
  threadIdx = {thread % blockDim.x, thread / blockDim.x % blockDim.y,
               thread / (blockDim.x * blockDim.y)};
}

Fiber& Block::idle_fiber() {
  for (const auto& fiber : fibers_) {
    if (fiber->idle) return *fiber;
  }
  auto fiber = std::make_unique<Fiber>();
  fiber->stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  SLOTWISE_CHECK(fiber->stack != MAP_FAILED, "[simulated gpu] no memory for the stack of a thread");
  fibers_.push_back(std::move(fiber));
  return *fibers_.back();
}

void Block::fiber_main() {
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack_, &scheduler_stack_bytes_);
#endif
  Fiber& self = *current_;
  while (begun_ < order_.size() && fault_.empty() && !trapped_) {
    self.thread = order_[begun_++];
    show(self.thread);
    try {
      (*body_)();
    } catch (const Trap&) {
      trapped_ = true;
    } catch (const std::exception& error) {
      fault_ = error.what();
    }
    end_thread(self.thread);
  }
  self.idle = true;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(nullptr, scheduler_stack_, scheduler_stack_bytes_);
#endif
  go(scheduler_);
}

void Block::resume(Fiber& fiber) {
  current_ = &fiber;
  fiber.counter = nullptr;
  const bool fresh = fiber.idle;
  ucontext_t entry{};
  if (fresh) {
    fiber.idle = false;
    getcontext(&entry);
    entry.uc_stack.ss_sp = fiber.stack;
    entry.uc_stack.ss_size = kStackBytes;
    makecontext(&entry, &Block::enter, 0);
  } else {
    show(fiber.thread);
  }
#ifdef __SANITIZE_ADDRESS__
  void* own = nullptr;
  __sanitizer_start_switch_fiber(&own, fiber.stack, kStackBytes);
#endif
  fresh ? begin(scheduler_, entry) : go(scheduler_, fiber.place);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(own, nullptr, nullptr);
#endif
}

void Block::suspend(const std::uint64_t& counter) {
  Fiber& self = *current_;
  self.counter = &counter;
  self.seen = counter;
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_start_switch_fiber(&self.sanitizer_stack, scheduler_stack_, scheduler_stack_bytes_);
#endif
  go(self.place, scheduler_);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(self.sanitizer_stack, nullptr, nullptr);
#endif
}

void Block::release_block_if_all_wait() {
  if (waiting_ == 0 || waiting_ + ended_ < threads_) return;
  waiting_ = 0;
  ++barriers_;
}

void Block::end_thread(unsigned thread) {
  ++ended_;
  Warp& warp = warps_[thread / 32];
  warp.ended |= 1u << (thread % 32);
  if ((warp.arrived != 0) && (warp.mask & warp.ended) != 0) {
    fault_ = fmt::format("thread {} ended while its warp waits for it", thread);
  }
  release_block_if_all_wait();
}

void Block::wait_for_block() {
  ++waiting_;
  const std::uint64_t before = barriers_;
  release_block_if_all_wait();
  if (barriers_ == before) suspend(barriers_);
}

const std::uint64_t* Block::exchange(unsigned mask, std::uint64_t bits, Operation operation) {
  const unsigned thread = current_->thread, own = 1u << (thread % 32);
  Warp& warp = warps_[thread / 32];
  if ((mask & own) == 0) fail("thread {} is not in the mask of its warp operation", thread);
  if ((mask & warp.ended) != 0) {
    fail("a warp operation of thread {} names lanes that have ended", thread);
  }
  if (warp.arrived != 0 && (warp.mask != mask || warp.operation != operation)) {
    fail("the lanes of the warp of thread {} meet in different operations", thread);
  }
  warp.mask = mask;
  warp.operation = operation;
  warp.arrived |= own;
  const std::uint64_t generation = warp.generation;
  std::uint64_t* values = warp.values[generation % 2];
  values[thread % 32] = bits;
  if (warp.arrived == (mask & warp.existing)) {
    warp.arrived = 0;
    ++warp.generation;
  } else {
    suspend(warp.generation);
  }
  return values;
}

void Block::run(const Launch& settings, const std::function<void()>& thread) {
  threads_ = settings.block.x * settings.block.y * settings.block.z;
  if (order_.size() != threads_) make_order(threads_);
  body_ = &thread;
  begun_ = 0;
  ended_ = waiting_ = 0;
  warps_.assign((threads_ + 31) / 32, {});
  for (unsigned i = 0; i < threads_; ++i) warps_[i / 32].existing |= 1u << (i % 32);
  shared_ = std::make_unique<unsigned char[]>(settings.shared_bytes);
  std::fill_n(shared_.get(), settings.shared_bytes, static_cast<unsigned char>(0xff));
  while (ended_ < threads_ && fault_.empty() && !trapped_) {
    if (begun_ < order_.size()) {
      resume(idle_fiber());
      continue;
    }
    bool moved = false;
    for (std::size_t i = 0; i < fibers_.size() && fault_.empty() && !trapped_; ++i) {
      Fiber& fiber = *fibers_[i];
      if (fiber.idle || *fiber.counter == fiber.seen) continue;
      resume(fiber);
      moved = true;
    }
    if (!moved) fault_ = "threads wait at a barrier that the others never reach";
  }
  if (fault_.empty() && !trapped_) return;
  for (const auto& fiber : fibers_) fiber->idle = true;  // what they held is gone
  const std::string why = std::exchange(fault_, {});
  const bool trapped = std::exchange(trapped_, false);
  if (!trapped)
    fail("[simulated gpu] block ({}, {}, {}): {}", blockIdx.x, blockIdx.y, blockIdx.z, why);
  throw Trap{};
}

Block& block() {
  static thread_local Block block;
  Block::current_block() = &block;
  return block;
}

cudaError_t check_settings(const Launch& settings) {
  const dim3 &grid = settings.grid, &threads = settings.block;
  const std::uint64_t count = std::uint64_t{threads.x} * threads.y * threads.z;
  const bool fits = count >= 1 && count <= kMostThreads && threads.z <= 64 && grid.x >= 1 &&
                    grid.x <= 0x7fffffffu && grid.y >= 1 && grid.y <= 0xffffu && grid.z >= 1 &&
                    grid.z <= 0xffffu && settings.shared_bytes <= kMostSharedBytes;
  return fits ? cudaSuccess : cudaErrorInvalidConfiguration;
}

}  // namespace

void set_last_error(cudaError_t error);

void run(const Launch& settings, const std::function<void()>& thread) {
  if (const cudaError_t error = check_settings(settings); error != cudaSuccess) {
    return set_last_error(error);
  }
  gridDim = settings.grid;
  blockDim = settings.block;
  try {
    for (unsigned z = 0; z < gridDim.z; ++z) {
      for (unsigned y = 0; y < gridDim.y; ++y) {
        for (unsigned x = 0; x < gridDim.x; ++x) {
          blockIdx = {x, y, z};
          block().run(settings, thread);
        }
      }
    }
  } catch (const Trap&) {
    set_last_error(cudaErrorLaunchFailure);
  }
}

void* dynamic_shared_memory() {
  return block().shared();
}
const std::uint64_t* exchange(unsigned mask, std::uint64_t bits, Operation operation) {
  return block().exchange(mask, bits, operation);
}
unsigned lane() {
  return block().thread() % 32;
}
void trap() {
  throw Trap{};
}

}  // namespace simulated_gpu

void __syncthreads() {
  simulated_gpu::block().wait_for_block();
}
