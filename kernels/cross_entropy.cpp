#include "kernels/cross_entropy.h"

namespace slotwise::kernels {

void cross_entropy(const CrossEntropy& args) {
  const char* op = "cross_entropy";
  SLOTWISE_CHECK(args.logits.defined() && args.logits.shape().dimensions() == 2,
                 "[{}] expected logits [rows, V], got {}", op,
                 args.logits.defined() ? args.logits.shape().text() : "none");
  const Shape& shape = args.logits.shape();
  expect_tensor(op, "logits", args.logits, shape);
  expect_tensor(op, "targets", args.targets, {shape[0]}, DType::i32);
  expect_tensor(op, "losses", args.losses, {shape[0]});
  expect_optional(op, "dlogits", args.dlogits, shape);
  SLOTWISE_DISPATCH(cross_entropy, args, args.logits);
}

}  // namespace slotwise::kernels
