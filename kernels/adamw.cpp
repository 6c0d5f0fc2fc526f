#include "kernels/adamw.h"

namespace slotwise::kernels {

void adamw(const AdamW& args) {
  SLOTWISE_CHECK(args.parameter.defined(), "[adamw] expected a parameter");
  const Shape& shape = args.parameter.shape();
  expect_tensor("adamw", "parameter", args.parameter, shape);
  expect_tensor("adamw", "first_moment", args.first_moment, shape);
  expect_tensor("adamw", "second_moment", args.second_moment, shape);
  expect_tensor("adamw", "gradient", args.gradient, shape);
  expect_optional("adamw", "gradient_scale", args.gradient_scale, {1});
  SLOTWISE_CHECK(args.step >= 1, "[adamw] expected a step from 1, got {}", args.step);
  SLOTWISE_CHECK(args.touched.defined() == args.live.defined(),
                 "[adamw] touched and live come together");
  if (args.touched.defined()) {
    expect_tensor("adamw", "touched", args.touched, {shape[0]}, DType::u8);
    expect_tensor("adamw", "live", args.live, {shape[0]}, DType::u8);
    SLOTWISE_CHECK(shape.dimensions() == 2 && args.weight_decay == 0.0f,
                   "[adamw] touched rows need a table [N, D] without decay, got {} and decay {}",
                   shape.text(), args.weight_decay);
  }
  SLOTWISE_DISPATCH(adamw, args, args.parameter);
}

void sgd(const Sgd& args) {
  SLOTWISE_CHECK(args.parameter.defined(), "[sgd] expected a parameter");
  const Shape& shape = args.parameter.shape();
  expect_tensor("sgd", "parameter", args.parameter, shape);
  expect_optional("sgd", "velocity", args.velocity, shape);
  expect_tensor("sgd", "gradient", args.gradient, shape);
  expect_optional("sgd", "gradient_scale", args.gradient_scale, {1});
  SLOTWISE_CHECK(args.momentum == 0.0f || args.velocity.defined(),
                 "[sgd] momentum {} needs a velocity", args.momentum);
  SLOTWISE_DISPATCH(sgd, args, args.parameter);
}

void clip_scale(const ClipScale& args) {
  expect_tensor("clip_scale", "scale", args.scale, {1});
  expect_tensor("clip_scale", "sum_of_squares", args.sum_of_squares, {1});
  SLOTWISE_DISPATCH(clip_scale, args, args.scale);
}

}  // namespace slotwise::kernels
