// What the tests of all ops share: comparing bits and values, and memory that shows what a kernel
// forgot to write.
#pragma once

#include "tests/support/op_registry.h"

namespace slotwise::testing {

// Fills blocks that the pool is about to hand out with NaN, so that an element that a kernel
// forgets to write, or adds to by mistake, shows. On the tensors' device.
void poison_free_memory(const Tensors& like);

// Tensors of any device.
bool same_bits(const Tensors& a, const Tensors& b);

Tensors moved_to(const Tensors& tensors, Device device);

// A gradient for each output that has one.
Tensors random_output_grads(const OpCase& test, const Tensors& outputs);

// Twice, over poisoned memory: a failure of the running test when the bits differ.
Tensors run_forward_twice(const OpCase& test, const Tensors& inputs);
Tensors run_backward_twice(const OpCase& test, const Tensors& inputs, const Tensors& outputs,
                           const Tensors& output_grads);

std::vector<std::string> op_names();
const Op& find_op(const std::string& name);

}  // namespace slotwise::testing
