#include "optim/optimizer.h"

#include <algorithm>
#include <cmath>

#include "core/trace.h"
#include "kernels/adamw.h"

namespace slotwise {

Optimizer::Optimizer(std::vector<OptimizedParameter> parameters, double max_norm)
    : parameters_(std::move(parameters)), max_norm_(max_norm) {}

Tensor Optimizer::queue_step(double learning_rate) {
  const TraceRange range("optimizer");
  ++steps_;
  kernels::SquaredNorms norms;
  int groups = 1;
  for (const OptimizedParameter& parameter : parameters_) {
    if (!parameter.variable.has_grad()) continue;
    const auto [gradient, touched] = parameter.variable.row_grad();
    norms.parts.push_back({gradient, touched, parameter.clip_group});
    groups = std::max(groups, parameter.clip_group + 1);
  }
  if (norms.parts.empty()) return Tensor::zeros({1}, DType::f32, {}, "norm");
  const Device device = norms.parts[0].x.device();
  norms.sums = Tensor::empty({groups}, DType::f32, device, "norm");
  kernels::squared_norms(norms);
  const Tensor scale = Tensor::empty_like(norms.sums, "norm");
  kernels::clip_scale(
      {.scale = scale, .sum_of_squares = norms.sums, .max_norm = static_cast<float>(max_norm_)});
  std::vector<Update> updates;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const OptimizedParameter& parameter = parameters_[i];
    if (!parameter.variable.has_grad()) continue;
    updates.push_back({i, learning_rate * parameter.rate_scale,
                       scale.slice(parameter.clip_group, parameter.clip_group + 1)});
  }
  update(updates);
  return norms.sums;
}

double Optimizer::step(double learning_rate) {
  double total = 0.0;
  for (const float sum : queue_step(learning_rate).to_vector<float>()) total += sum;
  return std::sqrt(total);
}

void Optimizer::clear_gradients() const {
  for (const OptimizedParameter& parameter : parameters_) parameter.variable.clear_grad();
}

std::vector<NamedTensor> Optimizer::state() const {
  std::vector<NamedTensor> all;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    for (NamedTensor& entry : state_of(i)) all.push_back(std::move(entry));
  }
  return all;
}

void Optimizer::load_state(const TensorFile& file) {
  for (const NamedTensor& entry : state()) {
    const Tensor& stored = file.require(entry.name);
    if (stored.shape() != entry.tensor.shape()) {
      user_error("{}: optimizer state '{}' has shape {}, this run needs {}", file.path.string(),
                 entry.name, stored.shape().text(), entry.tensor.shape().text());
    }
    entry.tensor.copy_from(stored);
  }
  state_loaded();
}

}  // namespace slotwise
