#include "kernels/rotary.h"

#include <cmath>

#include "layers/functional/rotary.h"

namespace slotwise {
namespace {

Tensor turn(const Tensor& x, const Tensor& positions, const RotaryTable& table, bool inverse,
            const Tensor& y) {
  const std::int64_t heads = x.size(-2), dim = x.size(-1);
  const Shape flat{heads * dim == 0 ? 0 : x.elements() / (heads * dim), heads, dim};
  kernels::rotary({.y = y.view(flat),
                   .x = x.view(flat),
                   .positions = positions,
                   .cosine = table.cosine,
                   .sine = table.sine,
                   .inverse = inverse});
  return y;
}

}  // namespace

RotaryTable make_rotary_table(std::int64_t positions, std::int64_t head_dim, double theta,
                              Device device) {
  const std::int64_t half = head_dim / 2;
  std::vector<float> cosine, sine;
  for (std::int64_t p = 0; p < positions; ++p) {
    for (std::int64_t i = 0; i < half; ++i) {
      const double angle =
          static_cast<double>(p) *
          std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
      cosine.push_back(static_cast<float>(std::cos(angle)));
      sine.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  return {Tensor::from(cosine, {positions, half}, device, "rotary table"),
          Tensor::from(sine, {positions, half}, device, "rotary table")};
}

Variable rotary(const Variable& x, const Tensor& positions, const RotaryTable& table) {
  Tensor y = Tensor::empty_like(x.value(), "activation rotary");
  turn(x.value(), positions, table, false, y);
  return record("rotary", {x}, y, [positions, table](BackwardContext& context) {
    Tensor dy = context.take_output_grad();
    const Tensor dx = dy.unique() ? dy : Tensor::empty_like(dy, "activation gradient");
    context.give_input_grad(0, turn(dy, positions, table, true, dx));
  });
}

}  // namespace slotwise
