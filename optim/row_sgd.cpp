// Plain SGD on rows (the paper's choice: no momentum, no decay), and what all row optimizers share.
#include "kernels/adamw.h"
#include "kernels/row_optimizer.h"
#include "optim/row_optimizer.h"

namespace slotwise {
namespace {

class RowSgdOptimizer final : public RowOptimizer {
 public:
  std::vector<NamedTensor> state(const std::string&) const override { return {}; }
  void load_state(const TensorFile&, const std::string&) override {}

 private:
  void update(const Tensor& values, const RowGradient& rows, double learning_rate,
              const Tensor& gradient_scale) override {
    kernels::row_sgd({.values = values,
                      .rows = rows.rows,
                      .gradient = rows.gradient,
                      .learning_rate = static_cast<float>(learning_rate),
                      .gradient_scale = gradient_scale});
  }
};

}  // namespace

void RowOptimizer::step(const Tensor& values, const RowGradient& rows, double learning_rate,
                        double max_norm) {
  if (rows.rows.elements() == 0) return;
  const Tensor sum = Tensor::empty({1}, DType::f32, rows.gradient.device(), "norm");
  const Tensor scale = Tensor::empty_like(sum, "norm");
  kernels::squared_norms({.sums = sum, .parts = {{.x = rows.gradient}}});
  kernels::clip_scale(
      {.scale = scale, .sum_of_squares = sum, .max_norm = static_cast<float>(max_norm)});
  update(values, rows, learning_rate, scale);
}

void RowOptimizer::step_scaled(const Tensor& values, const RowGradient& rows, double learning_rate,
                               const Tensor& gradient_scale) {
  if (rows.rows.elements() > 0) update(values, rows, learning_rate, gradient_scale);
}

std::unique_ptr<RowOptimizer> make_row_sgd() {
  return std::make_unique<RowSgdOptimizer>();
}

}  // namespace slotwise
