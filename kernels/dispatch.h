// How an op reaches its backend. Each op is one struct of named arguments and one function:
//   struct RmsNormForward {...};            outputs first, then inputs, then numbers
//   SLOTWISE_OP(rms_norm_forward, RmsNormForward);
// The front function (kernels/<op>.cpp) checks shapes and calls kernels::cpu:: or kernels::cuda::.
#pragma once

#include "core/device_scope.h"
#include "core/tensor.h"
#include "core/trace.h"

#define SLOTWISE_OP(name, Args) \
  void name(const Args& args);  \
  namespace cpu {               \
  void name(const Args& args);  \
  }                             \
  namespace cuda {              \
  void name(const Args& args);  \
  }

// `place`: a tensor whose device is the op's. The others must lie there too (core/device_scope.h).
#define SLOTWISE_DISPATCH(name, args, place)                      \
  do {                                                            \
    const ::slotwise::TraceRange trace(#name);                    \
    const ::slotwise::DeviceScope device_scope((place).device()); \
    if (::slotwise::DeviceScope::current().is_cuda()) {           \
      cuda::name(args);                                           \
    } else {                                                      \
      cpu::name(args);                                            \
    }                                                             \
  } while (false)

namespace slotwise::kernels {

// "[op] expected gain [64] f32, got [32] f32".
void expect_tensor(const char* op, const char* what, const Tensor& tensor, const Shape& shape,
                   DType dtype = DType::f32);
// The same where an undefined tensor is allowed.
void expect_optional(const char* op, const char* what, const Tensor& tensor, const Shape& shape,
                     DType dtype = DType::f32);

}  // namespace slotwise::kernels
