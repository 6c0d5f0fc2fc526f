#include "kernels/rotary.h"

namespace slotwise::kernels {

void rotary(const Rotary& args) {
  SLOTWISE_CHECK(args.x.defined() && args.x.shape().dimensions() == 3 && args.x.size(2) % 2 == 0,
                 "[rotary] expected x [tokens, heads, even size], got {}",
                 args.x.defined() ? args.x.shape().text() : "none");
  const Shape& shape = args.x.shape();
  expect_tensor("rotary", "x", args.x, shape);
  expect_tensor("rotary", "y", args.y, shape);
  expect_tensor("rotary", "positions", args.positions, {shape[0]}, DType::i32);
  SLOTWISE_CHECK(args.cosine.defined() && args.cosine.shape().dimensions() == 2,
                 "[rotary] expected a table of cosines [positions, {}]", shape[2] / 2);
  const Shape table{args.cosine.size(0), shape[2] / 2};
  expect_tensor("rotary", "cosine", args.cosine, table);
  expect_tensor("rotary", "sine", args.sine, table);
  SLOTWISE_DISPATCH(rotary, args, args.x);
}

}  // namespace slotwise::kernels
