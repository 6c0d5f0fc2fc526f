#include "layers/functional/attention.h"

#include "kernels/attention.h"
#include "layers/functional/precision.h"

namespace slotwise {

Variable attention(const Variable& q, const Variable& k, const Variable& v,
                   const AttentionMask& mask, float scale) {
  const DType products = product_type();
  const Tensor qv = q.value(), kv = k.value(), vv = v.value();
  Tensor out = Tensor::empty_like(qv, "activation attention");
  Tensor log_sum_exp = Tensor::empty({qv.size(0), qv.size(1), qv.size(2)}, DType::f32, qv.device(),
                                     "activation attention");
  kernels::attention_forward({.out = out,
                              .log_sum_exp = log_sum_exp,
                              .q = qv,
                              .k = kv,
                              .v = vv,
                              .query_start = mask.query_start,
                              .key_length = mask.key_length,
                              .offsets = mask.offsets,
                              .longest = mask.longest,
                              .causal = mask.causal,
                              .scale = scale,
                              .products = products});
  return record("attention", {q, k, v}, out, [=](BackwardContext& context) {
    Tensor dq = Tensor::empty_like(qv, "activation gradient");
    Tensor dk = Tensor::empty_like(kv, "activation gradient");
    Tensor dv = Tensor::empty_like(vv, "activation gradient");
    kernels::attention_backward({.dq = dq,
                                 .dk = dk,
                                 .dv = dv,
                                 .dout = context.output_grad(),
                                 .out = out,
                                 .log_sum_exp = log_sum_exp,
                                 .q = qv,
                                 .k = kv,
                                 .v = vv,
                                 .query_start = mask.query_start,
                                 .key_length = mask.key_length,
                                 .offsets = mask.offsets,
                                 .longest = mask.longest,
                                 .causal = mask.causal,
                                 .scale = scale,
                                 .products = products});
    context.give_input_grad(0, dq);
    context.give_input_grad(1, dk);
    context.give_input_grad(2, dv);
  });
}

}  // namespace slotwise
