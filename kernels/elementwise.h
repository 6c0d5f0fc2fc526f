// Small element-wise ops, f32 unless said otherwise.
#pragma once

#include "kernels/dispatch.h"

namespace slotwise::kernels {

// y = a + factor * b, with factor read from the one-element tensor `scale` where given. y may be a
// or b.
struct AddScaled {
  Tensor y;
  Tensor a;
  Tensor b;
  Tensor scale;  // optional, [1]
  float factor = 1.0f;
};
SLOTWISE_OP(add_scaled, AddScaled)

// out = factor * x, or out += factor * x; `scale` as above.
struct Scale {
  Sink out;
  Tensor x;
  Tensor scale;  // optional, [1]
  float factor = 1.0f;
};
SLOTWISE_OP(scale, Scale)

// out [1] (+)= sum(a * b), summed in double in a fixed order. a and b may be the same tensor.
// rows [N] u8, optional: a and b are [N, D] and only rows marked there count; the others are not
// read.
struct DotProduct {
  Sink out;
  Tensor a, b;
  Tensor rows = {};
};
SLOTWISE_OP(dot_product, DotProduct)

// count [1] i32 = how many elements of x (f32) are not finite. rows: as above.
struct CountNonFinite {
  Tensor count;
  Tensor x;
  Tensor rows = {};
};
SLOTWISE_OP(count_non_finite, CountNonFinite)

// Conversion between f32 and bf16 (same dtype: copy).
struct Cast {
  Tensor y;
  Tensor x;
};
SLOTWISE_OP(cast, Cast)

// y[i] = x[rows[i]]: x [R, C] read as rows, rows [n] i32, y [n, C].
struct GatherRows {
  Tensor y;
  Tensor x;
  Tensor rows;
};
SLOTWISE_OP(gather_rows, GatherRows)

// x[rows[i]] (+)= y[i], rows distinct. Rows not named stay as they are.
struct ScatterRows {
  Tensor x;
  Tensor y;
  Tensor rows;
  bool accumulate = false;
};
SLOTWISE_OP(scatter_rows, ScatterRows)

}  // namespace slotwise::kernels
