#include "tests/support/op_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace slotwise::testing {

void poison_free_memory(const Tensors& like) {
  Tensors blocks;
  for (int copy = 0; copy < 3; ++copy) {
    for (const Tensor& tensor : like) {
      if (!tensor.defined()) continue;
      const Tensor poison = Tensor::empty(tensor.shape(), tensor.dtype(), {}, "poison");
      std::memset(poison.raw(), 0xff, poison.bytes());
      const Tensor block = Tensor::empty_like(tensor, "poison");
      block.copy_from(poison);
      blocks.push_back(block);
    }
  }
}

bool same_bits(const Tensors& a, const Tensors& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].defined() != b[i].defined()) return false;
    if (!a[i].defined()) continue;
    if (!(a[i].shape() == b[i].shape()) || a[i].dtype() != b[i].dtype()) return false;
    const Tensor x = a[i].to(Device{}), y = b[i].to(Device{});
    if (std::memcmp(x.raw(), y.raw(), x.bytes()) != 0) return false;
  }
  return true;
}

Tensors moved_to(const Tensors& tensors, Device device) {
  Tensors moved;
  for (const Tensor& tensor : tensors) {
    moved.push_back(tensor.defined() ? tensor.to(device) : Tensor());
  }
  return moved;
}

Tensors random_output_grads(const OpCase& test, const Tensors& outputs) {
  Tensors grads(outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].dtype() != DType::f32) continue;
    if (!test.output_has_gradient.empty() && !test.output_has_gradient.at(i)) continue;
    grads[i] = random_normal(outputs[i].shape(), 900 + i).to(outputs[i].device());
  }
  return grads;
}

Tensors run_forward_twice(const OpCase& test, const Tensors& inputs) {
  const Tensors first = test.forward(inputs);
  poison_free_memory(first);
  const Tensors second = test.forward(inputs);
  EXPECT_TRUE(same_bits(first, second)) << "two forward runs differ";
  return second;
}

Tensors run_backward_twice(const OpCase& test, const Tensors& inputs, const Tensors& outputs,
                           const Tensors& output_grads) {
  const Tensors first = test.backward(inputs, outputs, output_grads);
  poison_free_memory(first);
  const Tensors second = test.backward(inputs, outputs, output_grads);
  EXPECT_TRUE(same_bits(first, second)) << "two backward runs differ";
  return second;
}

std::vector<std::string> op_names() {
  std::vector<std::string> names;
  for (const Op& op : registered_ops()) names.push_back(op.name);
  return names;
}

const Op& find_op(const std::string& name) {
  const auto& ops = registered_ops();
  const auto found =
      std::find_if(ops.begin(), ops.end(), [&](const Op& op) { return op.name == name; });
  if (found == ops.end()) fail("no op {}", name);
  return *found;
}

}  // namespace slotwise::testing
