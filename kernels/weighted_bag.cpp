#include "kernels/weighted_bag.h"

namespace slotwise::kernels {
namespace {

constexpr std::int64_t kMost = 2147483647;

void expect_slots(const char* op, const Tensor& slots) {
  SLOTWISE_CHECK(slots.defined() && slots.shape().dimensions() == 2 && slots.dtype() == DType::i32,
                 "[{}] expected slots [M, J] i32, got {}", op,
                 slots.defined() ? slots.shape().text() : "none");
  SLOTWISE_CHECK(slots.elements() <= kMost,
                 "[{}] expected at most 2^31 - 1 accesses a call, got {}: split the tokens", op,
                 slots.elements());
}

void expect_values(const char* op, const Tensor& values) {
  SLOTWISE_CHECK(values.defined() && values.shape().dimensions() == 2 && values.size(0) <= kMost,
                 "[{}] expected values [N, D] with N <= 2^31 - 1, got {}", op,
                 values.defined() ? values.shape().text() : "none");
  SLOTWISE_CHECK(values.dtype() == DType::f32 || values.dtype() == DType::bf16,
                 "[{}] expected values f32 or bf16, got {}", op, name_of(values.dtype()));
}

// The shapes that both sums over accesses share.
void expect_row_sums(const char* op, const char* what, const Sink& sink, const Tensor& dy,
                     const Tensor& slots, const Tensor& weights) {
  expect_slots(op, slots);
  SLOTWISE_CHECK(sink && sink.tensor.shape().dimensions() == 2 && sink.tensor.size(0) <= kMost,
                 "[{}] expected {} as rows of D, got {}", op, what,
                 sink ? sink.tensor.shape().text() : "none");
  expect_tensor(op, what, sink.tensor, sink.tensor.shape());
  expect_tensor(op, "dy", dy, {slots.size(0), sink.tensor.size(1)});
  expect_tensor(op, "weights", weights, slots.shape());
}

}  // namespace

void weighted_bag_forward(const WeightedBagForward& args) {
  const char* op = "weighted_bag_forward";
  expect_values(op, args.values);
  expect_slots(op, args.slots);
  expect_tensor(op, "weights", args.weights, args.slots.shape());
  expect_tensor(op, "y", args.y, {args.slots.size(0), args.values.size(1)});
  SLOTWISE_DISPATCH(weighted_bag_forward, args, args.y);
}

void weighted_bag_backward_weights(const WeightedBagBackwardWeights& args) {
  const char* op = "weighted_bag_backward_weights";
  expect_values(op, args.values);
  expect_slots(op, args.slots);
  expect_tensor(op, "dweights", args.dweights.tensor, args.slots.shape());
  expect_tensor(op, "dy", args.dy, {args.slots.size(0), args.values.size(1)});
  SLOTWISE_DISPATCH(weighted_bag_backward_weights, args, args.dy);
}

void weighted_bag_backward_values(const WeightedBagBackwardValues& args) {
  expect_row_sums("weighted_bag_backward_values", "dvalues", args.dvalues, args.dy, args.slots,
                  args.weights);
  expect_optional("weighted_bag_backward_values", "touched", args.touched,
                  {args.dvalues.tensor.size(0)}, DType::u8);
  SLOTWISE_CHECK(
      !args.touched.defined() || args.dvalues.accumulate,
      "[weighted_bag_backward_values] touched rows are added to: accumulate must be set");
  SLOTWISE_DISPATCH(weighted_bag_backward_values, args, args.dy);
}

void selected_row_gradient(const SelectedRowGradient& args) {
  const char* op = "selected_row_gradient";
  expect_row_sums(op, "gradient", args.gradient, args.dy, args.slots, args.weights);
  SLOTWISE_CHECK(args.row_of_slot.defined() && args.row_of_slot.shape().dimensions() == 1,
                 "[{}] expected row_of_slot [N] i32, got {}", op,
                 args.row_of_slot.defined() ? args.row_of_slot.shape().text() : "none");
  expect_tensor(op, "row_of_slot", args.row_of_slot, args.row_of_slot.shape(), DType::i32);
  SLOTWISE_DISPATCH(selected_row_gradient, args, args.dy);
}

}  // namespace slotwise::kernels
