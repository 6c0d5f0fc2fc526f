#include "kernels/weighted_bag.h"

#include "layers/functional/weighted_bag.h"

namespace slotwise {

Variable weighted_bag(const Variable& values, const Tensor& slots, const Variable& weights,
                      const KeepBag& keep) {
  const Tensor table = values.value(), w = weights.value();
  Tensor y =
      Tensor::empty({slots.size(0), table.size(1)}, DType::f32, table.device(), "activation bag");
  kernels::weighted_bag_forward({.y = y, .values = table, .slots = slots, .weights = w});
  return record(
      "weighted_bag", {values, weights}, y,
      [=](BackwardContext& context) {
        const Tensor dy = context.take_output_grad();
        if (const Sink sink = context.input_sink(1)) {
          kernels::weighted_bag_backward_weights(
              {.dweights = sink, .dy = dy, .values = table, .slots = slots});
        }
        if (const RowSink rows = context.input_rows(0); rows.sink) {
          kernels::weighted_bag_backward_values({.dvalues = rows.sink,
                                                 .dy = dy,
                                                 .slots = slots,
                                                 .weights = w,
                                                 .touched = rows.touched});
        }
        if (keep) keep({slots, w, dy});
      },
      static_cast<bool>(keep));
}

}  // namespace slotwise
