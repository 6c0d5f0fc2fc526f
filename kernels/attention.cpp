#include "kernels/attention.h"

namespace slotwise::kernels {
namespace {

template <class Args>
void expect_attention(const char* op, const Args& args) {
  SLOTWISE_CHECK(args.q.defined() && args.k.defined() && args.q.shape().dimensions() == 4 &&
                     args.k.shape().dimensions() == 4,
                 "[{}] expected q [B, Tq, H, D] and k [B, Tk, G, D], got {} and {}", op,
                 args.q.defined() ? args.q.shape().text() : "none",
                 args.k.defined() ? args.k.shape().text() : "none");
  const Shape& q = args.q.shape();
  const Shape& k = args.k.shape();
  SLOTWISE_CHECK(k[0] == q[0] && k[3] == q[3] && k[2] > 0 && q[2] % k[2] == 0,
                 "[{}] expected the same B and D, and H a multiple of G, got q {} and k {}", op,
                 q.text(), k.text());
  expect_tensor(op, "q", args.q, q);
  expect_tensor(op, "k", args.k, k);
  expect_tensor(op, "v", args.v, k);
  expect_tensor(op, "out", args.out, q);
  expect_tensor(op, "log_sum_exp", args.log_sum_exp, {q[0], q[1], q[2]});
  expect_optional(op, "query_start", args.query_start, {q[0]}, DType::i32);
  expect_optional(op, "key_length", args.key_length, {q[0]}, DType::i32);
  if (!args.offsets.defined()) return;
  SLOTWISE_CHECK(
      q[0] == 1 && k[1] == q[1] && !args.query_start.defined() && !args.key_length.defined(),
      "[{}] packed rows are one batch of as many queries as keys and take no query_start "
      "or key_length, got q {} and k {}",
      op, q.text(), k.text());
  SLOTWISE_CHECK(args.offsets.dtype() == DType::i32 && args.offsets.shape().dimensions() == 1 &&
                     args.offsets.size(0) >= 1 && args.longest >= 0 && args.longest <= q[1],
                 "[{}] expected offsets [R + 1] i32 and 0 <= longest <= {}, got {} and {}", op,
                 q[1], args.offsets.shape().text(), args.longest);
}

}  // namespace

void attention_forward(const AttentionForward& args) {
  expect_attention("attention", args);
  SLOTWISE_DISPATCH(attention_forward, args, args.q);
}

void attention_backward(const AttentionBackward& args) {
  const char* op = "attention_backward";
  expect_attention(op, args);
  expect_tensor(op, "dout", args.dout, args.q.shape());
  expect_tensor(op, "dq", args.dq, args.q.shape());
  expect_tensor(op, "dk", args.dk, args.k.shape());
  expect_tensor(op, "dv", args.dv, args.k.shape());
  SLOTWISE_DISPATCH(attention_backward, args, args.q);
}

}  // namespace slotwise::kernels
