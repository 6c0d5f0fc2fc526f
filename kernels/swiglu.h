// y = silu(gate) * up, element by element (Shazeer 2020). The memory's gate is the same function.
#pragma once

#include "kernels/dispatch.h"

namespace slotwise::kernels {

struct SwigluForward {
  Tensor y;
  Tensor gate, up;
};
SLOTWISE_OP(swiglu_forward, SwigluForward)

struct SwigluBackward {
  Sink dgate, dup;  // each optional
  Tensor dy;
  Tensor gate, up;
};
SLOTWISE_OP(swiglu_backward, SwigluBackward)

}  // namespace slotwise::kernels
