// The seam of attention on CUDA: one op, three bodies, the choice made call by call on the host.
#include "kernels/attention_body.h"
#include "kernels/cuda/attention_bodies.h"

namespace slotwise::kernels::cuda {
namespace {

void view_gradients(const AttentionForward&, const Shape&, const Shape&) {}
void view_gradients(AttentionBackward& args, const Shape& q, const Shape& k) {
  args.dq = args.dq.view(q);
  args.dk = args.dk.view(k);
  args.dv = args.dv.view(k);
  args.dout = args.dout.view(q);
}

// Packed rows of one length lie in memory as plain rows do, and every body takes those. A single
// row stays packed: its length is another in every call, and cuDNN works out a plan for each.
template <class Args>
Args plain_where_equal(Args args) {
  if (!args.offsets.defined()) return args;
  const std::int64_t rows = args.offsets.size(0) - 1, length = args.longest;
  if (rows < 2 || length < 1 || rows * length != args.q.size(1)) return args;
  const Shape q = {rows, length, args.q.size(2), args.q.size(3)};
  const Shape k = {rows, length, args.k.size(2), args.k.size(3)};
  args.q = args.q.view(q);
  args.k = args.k.view(k);
  args.v = args.v.view(k);
  args.out = args.out.view(q);
  args.log_sum_exp = args.log_sum_exp.view({rows, length, args.q.size(2)});
  view_gradients(args, q, k);
  args.offsets = {};
  return args;
}

}  // namespace

void attention_forward(const AttentionForward& given) {
  const AttentionForward args = plain_where_equal(given);
  switch (attention_body(form_of(args))) {
    case AttentionBody::composed:
      return composed::forward(args);
    case AttentionBody::blocked:
      return blocked::forward(args);
    case AttentionBody::cudnn:
      return cudnn::forward(args);
  }
}

void attention_backward(const AttentionBackward& given) {
  const AttentionBackward args = plain_where_equal(given);
  switch (attention_body(form_of(args))) {
    case AttentionBody::composed:
      return composed::backward(args);
    case AttentionBody::blocked:
      return blocked::backward(args);
    case AttentionBody::cudnn:
      return cudnn::backward(args);
  }
}

}  // namespace slotwise::kernels::cuda
