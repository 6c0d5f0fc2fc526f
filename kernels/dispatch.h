// How an op reaches its backend. Each op is one struct of named arguments and one function:
//   struct RmsNormForward {...};            outputs first, then inputs, then numbers
//   SLOTWISE_OP(rms_norm_forward, RmsNormForward);
// The front function (kernels/<op>.cpp) checks shapes and calls kernels::cpu:: or kernels::cuda::.
#pragma once

#include "core/tensor.h"

#define SLOTWISE_OP(name, Args) \
  void name(const Args& args);  \
  namespace cpu {               \
  void name(const Args& args);  \
  }                             \
  namespace cuda {              \
  void name(const Args& args);  \
  }

#define SLOTWISE_DISPATCH(name, args, place) \
  do {                                       \
    if ((place).device().is_cpu()) {         \
      cpu::name(args);                       \
    } else {                                 \
      cuda::name(args);                      \
    }                                        \
  } while (false)

namespace slotwise::kernels {

// "[op] expected gain [64] f32, got [32] f32".
void expect_tensor(const char* op, const char* what, const Tensor& tensor, const Shape& shape,
                   DType dtype = DType::f32);
// The same where an undefined tensor is allowed.
void expect_optional(const char* op, const char* what, const Tensor& tensor, const Shape& shape,
                     DType dtype = DType::f32);

}  // namespace slotwise::kernels
