#include "kernels/embedding.h"

#include "layers/functional/embedding.h"

namespace slotwise {

Variable embedding(const Variable& table, const Tensor& ids) {
  const Tensor flat = ids.view({ids.elements()});
  const Tensor t = table.value();
  Tensor y =
      Tensor::empty({flat.size(0), t.size(1)}, DType::f32, t.device(), "activation embedding");
  kernels::embedding_forward({.y = y, .table = t, .ids = flat});
  return record("embedding", {table}, y, [flat](BackwardContext& context) {
    kernels::embedding_backward(
        {.dtable = context.input_sink(0), .dy = context.output_grad(), .ids = flat});
  });
}

}  // namespace slotwise
