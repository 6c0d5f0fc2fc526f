// The way of host memory to a GPU without waiting for the GPU: through a ring of page-locked
// blocks. A block is used again when the copy out of it is done, which in a training step it long
// is. Only for files of a CUDA build.
#pragma once

#include <cstddef>

#include "core/dtype.h"

namespace slotwise {

// Queues the copy; `from` has been read on return.
void copy_through_ring(Device device, void* to, const void* from, std::size_t bytes);

}  // namespace slotwise
