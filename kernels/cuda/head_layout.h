// Attention's tensors are [B, T, H, W]: a token's heads side by side. What works head by head wants
// [B, H, T, W]. One copy takes either to the other.
#pragma once

#include "core/tensor.h"

namespace slotwise::kernels::cuda {

// x [B, T, H, W] f32 as [B H, T, W]: every head a matrix of its own. `name`: of the allocation.
Tensor split_heads(const Tensor& x, const char* name);

// The way back: x [B, T, H, W] from heads [B H, T, W].
void merge_heads(const Tensor& x, const Tensor& heads);

}  // namespace slotwise::kernels::cuda
