#include "optim/optimizer.h"

#include <algorithm>
#include <cmath>

#include "core/trace.h"
#include "kernels/adamw.h"
#include "kernels/elementwise.h"

namespace slotwise {
namespace {

struct ClipGroups {
  std::vector<Tensor> sum_of_squares;  // [1] per group
  std::vector<Tensor> scale;           // [1] per group; undefined without clipping
};

ClipGroups measure(const std::vector<OptimizedParameter>& parameters, double max_norm) {
  ClipGroups groups;
  for (const OptimizedParameter& parameter : parameters) {
    if (!parameter.variable.has_grad()) continue;
    const auto group = static_cast<std::size_t>(parameter.clip_group);
    const auto [gradient, touched] = parameter.variable.row_grad();
    while (groups.sum_of_squares.size() <= group) {
      groups.sum_of_squares.push_back(Tensor::zeros({1}, DType::f32, gradient.device(), "norm"));
    }
    kernels::dot_product({.out = {groups.sum_of_squares[group], true},
                          .a = gradient,
                          .b = gradient,
                          .rows = touched});
  }
  groups.scale.resize(groups.sum_of_squares.size());
  if (max_norm <= 0) return groups;
  for (std::size_t i = 0; i < groups.scale.size(); ++i) {
    groups.scale[i] = Tensor::empty_like(groups.sum_of_squares[i], "norm");
    kernels::clip_scale({.scale = groups.scale[i],
                         .sum_of_squares = groups.sum_of_squares[i],
                         .max_norm = static_cast<float>(max_norm)});
  }
  return groups;
}

}  // namespace

Optimizer::Optimizer(std::vector<OptimizedParameter> parameters, double max_norm)
    : parameters_(std::move(parameters)), max_norm_(max_norm) {}

double Optimizer::step(double learning_rate) {
  const TraceRange range("optimizer");
  ++steps_;
  const ClipGroups groups = measure(parameters_, max_norm_);
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const OptimizedParameter& parameter = parameters_[i];
    if (!parameter.variable.has_grad()) continue;
    update(i, learning_rate * parameter.rate_scale,
           groups.scale[static_cast<std::size_t>(parameter.clip_group)]);
  }
  double total = 0.0;
  for (const Tensor& sum : groups.sum_of_squares) total += sum.to_vector<float>()[0];
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
