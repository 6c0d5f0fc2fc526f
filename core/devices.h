// Which devices this program can use, and what a person may call them.
#pragma once

#include <cstddef>
#include <string>

#include "core/dtype.h"

namespace slotwise {

namespace cuda {
int device_count();  // 0 without a GPU, a driver or a CUDA build
// What a profiler records that waits for it (nsys --capture-range=cudaProfilerApi).
void start_profiler();
void stop_profiler();
}  // namespace cuda

// "cpu", "cuda", "cuda:1", "auto" (the first GPU that can run this build, else the CPU) or
// "emulated" (core/dtype.h). UserError when it is none of these or is not there: what was asked,
// what was found, what to do.
Device find_device(const std::string& text);

// "cpu", "cuda:0 (NVIDIA H200, 140 GiB)".
std::string describe(Device device);

// All memory of the machine, or of the GPU.
std::size_t memory_bytes(Device device);

}  // namespace slotwise
