// Plain SGD on rows (the paper's choice: no momentum, no decay), and what all row optimizers share.
#include "kernels/adamw.h"
#include "kernels/elementwise.h"
#include "kernels/row_optimizer.h"
#include "optim/row_optimizer.h"

namespace slotwise {
namespace {

class RowSgdOptimizer final : public RowOptimizer {
 public:
  std::vector<NamedTensor> state(const std::string&) const override { return {}; }
  void load_state(const TensorFile&, const std::string&) override {}

 private:
  void update(const Tensor& values, const RowGradient& rows, double learning_rate) override {
    kernels::row_sgd({.values = values,
                      .rows = rows.rows,
                      .gradient = rows.gradient,
                      .learning_rate = static_cast<float>(learning_rate)});
  }
};

}  // namespace

void RowOptimizer::step(const Tensor& values, const RowGradient& rows, double learning_rate,
                        double max_norm) {
  if (rows.rows.elements() == 0) return;
  if (max_norm > 0) {
    const Device device = rows.gradient.device();
    const Tensor sum = Tensor::empty({1}, DType::f32, device, "norm");
    const Tensor scale = Tensor::empty({1}, DType::f32, device, "norm");
    kernels::dot_product({.out = {sum}, .a = rows.gradient, .b = rows.gradient});
    kernels::clip_scale(
        {.scale = scale, .sum_of_squares = sum, .max_norm = static_cast<float>(max_norm)});
    kernels::scale({.out = {rows.gradient}, .x = rows.gradient, .scale = scale});
  }
  update(values, rows, learning_rate);
}

std::unique_ptr<RowOptimizer> make_row_sgd() {
  return std::make_unique<RowSgdOptimizer>();
}

}  // namespace slotwise
