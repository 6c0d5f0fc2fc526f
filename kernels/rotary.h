// Rotary position embedding (RoPE), Hugging Face's halves convention: with D = 2h, dimension i < h
// turns with i + h by the angle position * base^(-i / h). x, y: [tokens, heads, D]; positions:
// [tokens] i32; cosine, sine: [positions, D / 2]. The inverse rotation is the backward. y may be x.
#pragma once

#include "kernels/dispatch.h"

namespace slotwise::kernels {

struct Rotary {
  Tensor y;
  Tensor x;
  Tensor positions;
  Tensor cosine;
  Tensor sine;
  bool inverse = false;
};
SLOTWISE_OP(rotary, Rotary)

}  // namespace slotwise::kernels
