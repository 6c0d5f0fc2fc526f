// Raw device memory: the only calls of core that differ between backends. device_memory.cpp sends
// each to the body of its device (device_memory_bodies.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/dtype.h"

namespace slotwise {

// Null when the device has no room; throws Error when the device cannot be used at all.
void* allocate_bytes(Device device, std::size_t bytes);
void release_bytes(Device device, void* block) noexcept;
// On a CUDA device queued, not awaited.
void zero_bytes(Device device, void* block, std::size_t bytes);
// Done on return where it goes to the host. Otherwise queued on the device, not awaited; memory of
// the host has been read on return.
void copy_bytes(void* to, Device to_device, const void* from, Device from_device,
                std::size_t bytes);

// Copies from a device to the host since the program began. Each makes the host wait until the
// device has done all that it was told before: a training step should need one.
std::int64_t copies_to_host();

}  // namespace slotwise
