// Optimizers of chosen rows of a table; all other rows keep their bits. They see row ids and
// gradient rows (core/row_gradient.h) and know nothing of how the rows were chosen.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/row_gradient.h"
#include "core/safetensors.h"

namespace slotwise {

class RowOptimizer {
 public:
  virtual ~RowOptimizer() = default;
  // values: [N, D], changed in the given rows only. max_norm > 0 clips the rows' gradient by its
  // norm first. Nothing changes where a gradient is not finite.
  void step(const Tensor& values, const RowGradient& rows, double learning_rate, double max_norm);
  // The same with a clip factor [1] of the caller's (kernels/adamw.h).
  void step_scaled(const Tensor& values, const RowGradient& rows, double learning_rate,
                   const Tensor& gradient_scale);
  virtual std::vector<NamedTensor> state(const std::string& prefix) const = 0;
  virtual void load_state(const TensorFile& file, const std::string& prefix) = 0;

 private:
  virtual void update(const Tensor& values, const RowGradient& rows, double learning_rate,
                      const Tensor& gradient_scale) = 0;
};

struct RowAdamOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
};
// State is kept only for rows that were ever selected, with a step counter per row.
std::unique_ptr<RowOptimizer> make_row_adam(const RowAdamOptions& options);
std::unique_ptr<RowOptimizer> make_row_sgd();

}  // namespace slotwise
