#include "kernels/row_optimizer.h"

namespace slotwise::kernels {
namespace {

void expect_rows(const char* op, const Tensor& values, const Tensor& rows, const Tensor& gradient) {
  SLOTWISE_CHECK(values.defined() && values.shape().dimensions() == 2,
                 "[{}] expected values [N, D], got {}", op,
                 values.defined() ? values.shape().text() : "none");
  SLOTWISE_CHECK(
      values.dtype() == DType::f32,
      "[{}] expected values f32, got {}: small steps vanish in it, so keep the rows that "
      "are updated in f32",
      op, name_of(values.dtype()));
  SLOTWISE_CHECK(rows.defined() && rows.shape().dimensions() == 1,
                 "[{}] expected rows [t] i32, got {}", op,
                 rows.defined() ? rows.shape().text() : "none");
  SLOTWISE_CHECK(rows.elements() <= values.size(0), "[{}] expected distinct rows, got {} of {}", op,
                 rows.elements(), values.size(0));
  expect_tensor(op, "rows", rows, rows.shape(), DType::i32);
  expect_tensor(op, "gradient", gradient, {rows.elements(), values.size(1)});
}

}  // namespace

void row_adam(const RowAdam& args) {
  const char* op = "row_adam";
  expect_rows(op, args.values, args.rows, args.gradient);
  SLOTWISE_CHECK(args.first_moment.defined() && args.first_moment.shape().dimensions() == 2,
                 "[{}] expected moments [capacity, D], got {}", op,
                 args.first_moment.defined() ? args.first_moment.shape().text() : "none");
  const std::int64_t capacity = args.first_moment.size(0);
  expect_tensor(op, "first moment", args.first_moment, {capacity, args.values.size(1)});
  expect_tensor(op, "second moment", args.second_moment, {capacity, args.values.size(1)});
  expect_tensor(op, "steps", args.steps, {capacity}, DType::i32);
  expect_optional(op, "gradient_scale", args.gradient_scale, {1});
  expect_tensor(op, "state_row", args.state_row, args.rows.shape(), DType::i32);
  SLOTWISE_DISPATCH(row_adam, args, args.values);
}

void row_sgd(const RowSgd& args) {
  expect_rows("row_sgd", args.values, args.rows, args.gradient);
  expect_optional("row_sgd", "gradient_scale", args.gradient_scale, {1});
  SLOTWISE_DISPATCH(row_sgd, args, args.values);
}

}  // namespace slotwise::kernels
