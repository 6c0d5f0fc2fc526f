#include "kernels/adamw.h"

namespace slotwise::kernels {

namespace {

void check(const AdamW& args) {
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
}

}  // namespace

void adamw(const AdamW& args) {
  check(args);
  SLOTWISE_DISPATCH(adamw, args, args.parameter);
}

void adamw_all(const AdamWAll& args) {
  for (const AdamW& step : args.steps) check(step);
  if (!args.steps.empty()) SLOTWISE_DISPATCH(adamw_all, args, args.steps[0].parameter);
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

void squared_norms(const SquaredNorms& args) {
  const char* op = "squared_norms";
  SLOTWISE_CHECK(args.sums.defined() && args.sums.shape().dimensions() == 1,
                 "[{}] expected sums [G]", op);
  expect_tensor(op, "sums", args.sums, args.sums.shape());
  for (const SquaredNorms::Part& part : args.parts) {
    SLOTWISE_CHECK(part.x.defined() && part.group >= 0 && part.group < args.sums.elements(),
                   "[{}] expected a tensor and a group below {}, got group {}", op,
                   args.sums.elements(), part.group);
    expect_tensor(op, "x", part.x, part.x.shape());
    if (!part.rows.defined()) continue;
    SLOTWISE_CHECK(part.x.shape().dimensions() == 2, "[{}] marked rows need x [N, D], got {}", op,
                   part.x.shape().text());
    expect_tensor(op, "rows", part.rows, {part.x.size(0)}, DType::u8);
  }
  SLOTWISE_DISPATCH(squared_norms, args, args.sums);
}

void clip_scale(const ClipScale& args) {
  const char* op = "clip_scale";
  SLOTWISE_CHECK(args.sum_of_squares.defined() && args.sum_of_squares.shape().dimensions() == 1,
                 "[{}] expected sum_of_squares [G]", op);
  expect_tensor(op, "sum_of_squares", args.sum_of_squares, args.sum_of_squares.shape());
  expect_tensor(op, "scale", args.scale, args.sum_of_squares.shape());
  SLOTWISE_DISPATCH(clip_scale, args, args.scale);
}

}  // namespace slotwise::kernels
