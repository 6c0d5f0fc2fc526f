#include "kernels/dispatch.h"

namespace slotwise::kernels {

void expect_tensor(const char* op, const char* what, const Tensor& tensor, const Shape& shape,
                   DType dtype) {
  if (!tensor.defined()) {
    fail("[{}] expected {} {} {}, got none", op, what, shape.text(), name_of(dtype));
  }
  if (tensor.shape() == shape && tensor.dtype() == dtype) return;
  fail("[{}] expected {} {} {}, got {} {}", op, what, shape.text(), name_of(dtype),
       tensor.shape().text(), name_of(tensor.dtype()));
}

void expect_optional(const char* op, const char* what, const Tensor& tensor, const Shape& shape,
                     DType dtype) {
  if (tensor.defined()) expect_tensor(op, what, tensor, shape, dtype);
}

}  // namespace slotwise::kernels
