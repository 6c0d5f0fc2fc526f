// Stands in for CUDA in a build without it.
#include "core/device_memory_bodies.h"
#include "core/devices_bodies.h"
#include "core/error.h"
#include "core/gradient_math_bodies.h"

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
void add_gradient(const Tensor&, const Tensor&) {
  absent("write_gradient");
}
void zero_untouched_rows(const TouchedRows&) {
  absent("zero_untouched_rows");
}
void gather_touched_rows(const Tensor&, const Tensor&, const TouchedRows&) {
  absent("gather_touched_rows");
}
void scatter_touched_rows(const TouchedRows&, const Tensor&, const Tensor&) {
  absent("scatter_touched_rows");
}
int device_count() {
  return 0;
}
DeviceFacts device_facts(int) {
  absent("device");
}
void* make_event(Device) {
  absent("timer");
}
void record_event(Device, void*) {
  absent("timer");
}
double seconds_between(void*, void*) {
  absent("timer");
}
void release_event(void*) noexcept {}
void start_profiler() {
  absent("profiler");
}
void stop_profiler() {
  absent("profiler");
}
std::string absence() {
  return "this program was built without CUDA";
}

}  // namespace slotwise::cuda
