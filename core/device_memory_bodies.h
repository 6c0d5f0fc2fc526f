// The bodies behind core/device_memory.h, a namespace per backend. Without CUDA those of `cuda`
// say that they are absent; CMake chooses the file.
#pragma once

#include "core/device_memory.h"

namespace slotwise {

namespace cpu {
void* allocate_bytes(std::size_t bytes);
void release_bytes(void* block) noexcept;
}  // namespace cpu

namespace cuda {
void* allocate_bytes(Device device, std::size_t bytes);
void release_bytes(Device device, void* block) noexcept;
void zero_bytes(Device device, void* block, std::size_t bytes);
// At least one of the two places is a CUDA device.
void copy_bytes(void* to, Device to_device, const void* from, Device from_device,
                std::size_t bytes);
}  // namespace cuda

}  // namespace slotwise
