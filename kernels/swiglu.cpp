#include "kernels/swiglu.h"

namespace slotwise::kernels {

void swiglu_forward(const SwigluForward& args) {
  SLOTWISE_CHECK(args.gate.defined(), "[swiglu] expected gate");
  const Shape& shape = args.gate.shape();
  expect_tensor("swiglu", "gate", args.gate, shape);
  expect_tensor("swiglu", "up", args.up, shape);
  expect_tensor("swiglu", "y", args.y, shape);
  SLOTWISE_DISPATCH(swiglu_forward, args, args.gate);
}

void swiglu_backward(const SwigluBackward& args) {
  SLOTWISE_CHECK(args.gate.defined(), "[swiglu] expected gate");
  const Shape& shape = args.gate.shape();
  expect_tensor("swiglu", "gate", args.gate, shape);
  expect_tensor("swiglu", "up", args.up, shape);
  expect_tensor("swiglu", "dy", args.dy, shape);
  expect_optional("swiglu", "dgate", args.dgate.tensor, shape);
  expect_optional("swiglu", "dup", args.dup.tensor, shape);
  SLOTWISE_DISPATCH(swiglu_backward, args, args.gate);
}

}  // namespace slotwise::kernels
