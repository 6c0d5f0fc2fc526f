// What the machine itself can do, measured in the run that is judged by it: every benchmark gives
// its bytes/s as a share of a copy's and its FLOP/s as a share of a large matrix product's.
// A program measures one device.
#pragma once

#include <cstdint>
#include <vector>

#include "core/tensor.h"

namespace slotwise::bench {

// One copy of 256 MiB (1 GiB on a GPU), bytes read + written a second. On the CPU STREAM's: a loop
// of ordinary loads and stores on all threads.
double copy_rate(Device device);
std::int64_t copy_bytes(Device device);  // read + written by one such copy
// The CPU's other limits: a memcpy (which writes past the cache), and a sequential read of 256 MiB.
double memcpy_rate();
double read_rate();

// FLOP/s of C = A B, 1024^3 on the CPU and 8192^3 on a GPU, operands f32 or bf16 (on a GPU never
// TF32): the median of five, measured at the first call. The CPU widens bf16, so there it is f32.
double gemm_rate(Device device, DType operands);
double gemm_flops(Device device);

// Reads a buffer larger than every cache of this device (256 MiB; 1 GiB on a GPU), so that what
// runs next finds nothing of its own there, and no lines that are still to be written back.
void sweep_caches(Device device);

// Cheap noise of any size, for tables: drawn once for 2^18 elements and repeated.
Tensor noise(const Shape& shape, Device device, const char* name = "bench");

double median(std::vector<double> values);

}  // namespace slotwise::bench
