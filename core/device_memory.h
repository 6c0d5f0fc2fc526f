// Raw device memory: the only calls of core that differ between backends. Bodies for the CPU stand
// in device_memory_cpu.cpp; those of another backend are chosen by CMake.
#pragma once

#include <cstddef>

#include "core/dtype.h"

namespace slotwise {

// Null when the device has no room; throws Error when the device cannot be used at all.
void* allocate_bytes(Device device, std::size_t bytes);
void release_bytes(Device device, void* block) noexcept;
void zero_bytes(Device device, void* block, std::size_t bytes);
void copy_bytes(void* to, Device to_device, const void* from, Device from_device,
                std::size_t bytes);

}  // namespace slotwise
