#include "kernels/rms_norm.h"

namespace slotwise::kernels {
namespace {

void expect_gain(const char* op, const Tensor& gain, const Shape& x) {
  if (!gain.defined()) return;
  const std::int64_t size = x.last();
  expect_tensor(op, "gain", gain,
                gain.shape().dimensions() == 2 ? Shape{gain.size(0), size} : Shape{size});
  SLOTWISE_CHECK(gain.elements() > 0 || size == 0, "[{}] expected gain rows, got {}", op,
                 gain.shape().text());
}

void expect_rows(const char* op, const Tensor& inverse_rms, const Shape& x) {
  SLOTWISE_CHECK(inverse_rms.defined() && inverse_rms.elements() == x.rows(),
                 "[{}] expected inverse_rms with one element for each row of {}, got {}", op,
                 x.text(), inverse_rms.defined() ? inverse_rms.shape().text() : "none");
}

}  // namespace

void rms_norm_forward(const RmsNormForward& args) {
  const char* op = "rms_norm";
  SLOTWISE_CHECK(args.x.defined() && args.x.shape().dimensions() > 0, "[{}] expected x", op);
  const Shape& shape = args.x.shape();
  expect_tensor(op, "x", args.x, shape);
  expect_tensor(op, "y", args.y, shape);
  expect_optional(op, "sum", args.sum, shape);
  expect_optional(op, "residual", args.residual, shape);
  expect_rows(op, args.inverse_rms, shape);
  expect_gain(op, args.gain, shape);
  SLOTWISE_DISPATCH(rms_norm_forward, args, args.x);
}

void rms_norm_backward(const RmsNormBackward& args) {
  const char* op = "rms_norm";
  SLOTWISE_CHECK(args.s.defined() && args.s.shape().dimensions() > 0, "[{}] expected s", op);
  const Shape& shape = args.s.shape();
  expect_tensor(op, "s", args.s, shape);
  expect_optional(op, "dx", args.dx.tensor, shape);
  expect_optional(op, "dy", args.dy, shape);
  expect_optional(op, "dsum", args.dsum, shape);
  expect_rows(op, args.inverse_rms, shape);
  expect_gain(op, args.gain, shape);
  if (args.dgain) {
    SLOTWISE_CHECK(args.gain.defined(), "[{}] dgain is wanted, but there is no gain", op);
    expect_tensor(op, "dgain", args.dgain.tensor, args.gain.shape());
  }
  SLOTWISE_DISPATCH(rms_norm_backward, args, args.s);
}

}  // namespace slotwise::kernels
