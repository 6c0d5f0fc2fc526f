#include "kernels/batch_norm.h"

namespace slotwise::kernels {
namespace {

template <class Args>
void expect_batch(const char* op, const Args& args) {
  SLOTWISE_CHECK(args.x.defined() && args.x.shape().dimensions() == 2,
                 "[{}] expected x [rows, F], got {}", op,
                 args.x.defined() ? args.x.shape().text() : "none");
  const Shape& shape = args.x.shape();
  expect_tensor(op, "x", args.x, shape);
  expect_tensor(op, "gain", args.gain, {shape[1]});
  expect_tensor(op, "mean", args.mean, {shape[1]});
  expect_tensor(op, "inverse_std", args.inverse_std, {shape[1]});
  expect_optional(op, "valid", args.valid, {shape[0]}, DType::u8);
}

}  // namespace

void batch_norm_forward(const BatchNormForward& args) {
  const char* op = "batch_norm";
  expect_batch(op, args);
  const Shape features{args.x.size(1)};
  expect_tensor(op, "y", args.y, args.x.shape());
  expect_tensor(op, "bias", args.bias, features);
  expect_tensor(op, "running_mean", args.running_mean, features);
  expect_tensor(op, "running_variance", args.running_variance, features);
  SLOTWISE_DISPATCH(batch_norm_forward, args, args.x);
}

void batch_norm_backward(const BatchNormBackward& args) {
  const char* op = "batch_norm_backward";
  expect_batch(op, args);
  const Shape features{args.x.size(1)};
  expect_tensor(op, "dy", args.dy, args.x.shape());
  expect_optional(op, "dx", args.dx.tensor, args.x.shape());
  expect_optional(op, "dgain", args.dgain.tensor, features);
  expect_optional(op, "dbias", args.dbias.tensor, features);
  SLOTWISE_DISPATCH(batch_norm_backward, args, args.x);
}

}  // namespace slotwise::kernels
