#include "layers/functional/product_key_lookup.h"

#include "kernels/product_key.h"

namespace slotwise {

KeyLookup product_key_lookup(const Variable& query, const Variable& keys, std::int64_t top_k) {
  const Tensor q = query.value(), k = keys.value();
  const std::int64_t tokens = q.size(0), heads = q.size(1);
  const Shape shape{tokens, heads, top_k}, flat{tokens, heads * top_k};
  Tensor slots = Tensor::empty(shape, DType::i32, q.device(), "activation slots");
  Tensor weights = Tensor::empty(shape, DType::f32, q.device(), "activation slot weights");
  kernels::product_key_lookup({.slots = slots, .weights = weights, .query = q, .keys = k});
  Variable out = record(
      "product_key_lookup", {query, keys}, weights.view(flat), [=](BackwardContext& context) {
        kernels::product_key_lookup_backward({.dquery = context.input_sink(0),
                                              .dkeys = context.input_sink(1),
                                              .dweights = context.output_grad().view(shape),
                                              .slots = slots,
                                              .weights = weights,
                                              .query = q,
                                              .keys = k});
      });
  return {slots.view(flat), out};
}

}  // namespace slotwise
