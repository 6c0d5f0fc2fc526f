#include "layers/functional/view.h"

namespace slotwise {

Variable view(const Variable& x, const Shape& shape) {
  return record("view", {x}, x.value().view(shape), [](BackwardContext& context) {
    context.give_input_grad(0, context.take_output_grad());
  });
}

}  // namespace slotwise
