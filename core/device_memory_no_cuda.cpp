// Stands in for CUDA memory in a build without CUDA.
#include "core/device_memory_bodies.h"
#include "core/error.h"

namespace slotwise::cuda {
namespace {

[[noreturn]] void absent(const char* verb) {
  fail("[{}] this build has no CUDA backend; use --device cpu", verb);
}

}  // namespace

void* allocate_bytes(Device, std::size_t) {
  absent("allocate_bytes");
}
void release_bytes(Device, void*) noexcept {}
void zero_bytes(Device, void*, std::size_t) {
  absent("zero_bytes");
}
void copy_bytes(void*, Device, const void*, Device, std::size_t) {
  absent("copy_bytes");
}

}  // namespace slotwise::cuda
