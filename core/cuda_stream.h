// The one stream per CUDA device on which the library queues all its work: kernels, copies and the
// use of memory that comes from the pool then follow each other in program order, so a block can be
// lent again without waiting for the device. Only for files of a CUDA build.
#pragma once

#include <cuda_runtime_api.h>

#include "core/dtype.h"

namespace slotwise {

// Makes `device` the calling thread's current one and returns its stream. UserError when there is
// no such device.
cudaStream_t cuda_stream(Device device);

// Throws Error "[what] call: out of memory (cudaErrorMemoryAllocation)" unless it succeeded.
void check_cuda(cudaError_t status, const char* what, const char* call);

}  // namespace slotwise
