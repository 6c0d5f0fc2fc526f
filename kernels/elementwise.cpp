#include "kernels/elementwise.h"

namespace slotwise::kernels {
namespace {

void expect_same(const char* op, const char* what, const Tensor& tensor, const Tensor& x) {
  SLOTWISE_CHECK(x.defined(), "[{}] expected an input, got none", op);
  expect_tensor(op, what, tensor, x.shape());
}

// rows [n] i32; x: rows of C; y: n rows of C.
void expect_row_move(const char* op, const Tensor& x, const Tensor& y, const Tensor& rows) {
  SLOTWISE_CHECK(x.defined() && x.shape().dimensions() > 0, "[{}] expected x", op);
  SLOTWISE_CHECK(rows.defined() && rows.shape().dimensions() == 1, "[{}] expected rows [n]", op);
  expect_tensor(op, "x", x, x.shape());
  expect_tensor(op, "rows", rows, rows.shape(), DType::i32);
  expect_tensor(op, "y", y, {rows.size(0), x.shape().last()});
}

}  // namespace

void add_scaled(const AddScaled& args) {
  expect_same("add_scaled", "a", args.a, args.y);
  expect_same("add_scaled", "b", args.b, args.y);
  expect_same("add_scaled", "y", args.y, args.y);
  expect_optional("add_scaled", "scale", args.scale, {1});
  SLOTWISE_DISPATCH(add_scaled, args, args.y);
}

void scale(const Scale& args) {
  expect_same("scale", "x", args.x, args.x);
  expect_same("scale", "out", args.out.tensor, args.x);
  expect_optional("scale", "scale", args.scale, {1});
  SLOTWISE_DISPATCH(scale, args, args.x);
}

void dot_product(const DotProduct& args) {
  expect_same("dot_product", "a", args.a, args.a);
  expect_same("dot_product", "b", args.b, args.a);
  expect_tensor("dot_product", "out", args.out.tensor, {1});
  if (args.rows.defined()) {
    SLOTWISE_CHECK(args.a.shape().dimensions() == 2,
                   "[dot_product] marked rows need a and b [N, D], got {}", args.a.shape().text());
    expect_tensor("dot_product", "rows", args.rows, {args.a.size(0)}, DType::u8);
  }
  SLOTWISE_DISPATCH(dot_product, args, args.a);
}

void count_non_finite(const CountNonFinite& args) {
  const char* op = "count_non_finite";
  expect_same(op, "x", args.x, args.x);
  expect_tensor(op, "count", args.count, {1}, DType::i32);
  if (args.rows.defined()) {
    SLOTWISE_CHECK(args.x.shape().dimensions() == 2, "[{}] marked rows need x [N, D], got {}", op,
                   args.x.shape().text());
    expect_tensor(op, "rows", args.rows, {args.x.size(0)}, DType::u8);
  }
  SLOTWISE_DISPATCH(count_non_finite, args, args.x);
}

void cast(const Cast& args) {
  const auto floating = [](const Tensor& tensor) {
    return tensor.defined() && (tensor.dtype() == DType::f32 || tensor.dtype() == DType::bf16);
  };
  SLOTWISE_CHECK(floating(args.x) && floating(args.y) && args.x.shape() == args.y.shape(),
                 "[cast] expected x and y of one shape, each f32 or bf16");
  SLOTWISE_DISPATCH(cast, args, args.x);
}

void gather_rows(const GatherRows& args) {
  expect_row_move("gather_rows", args.x, args.y, args.rows);
  SLOTWISE_DISPATCH(gather_rows, args, args.x);
}

void scatter_rows(const ScatterRows& args) {
  expect_row_move("scatter_rows", args.x, args.y, args.rows);
  SLOTWISE_DISPATCH(scatter_rows, args, args.x);
}

}  // namespace slotwise::kernels
