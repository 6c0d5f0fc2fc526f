// Stochastic gradient descent on whole tensors, with momentum by option.
#include "kernels/adamw.h"
#include "optim/optimizer.h"

namespace slotwise {
namespace {

class SgdOptimizer final : public Optimizer {
 public:
  SgdOptimizer(std::vector<OptimizedParameter> parameters, double momentum, double max_norm)
      : Optimizer(std::move(parameters), max_norm), momentum_(momentum) {
    for (const OptimizedParameter& parameter : parameters_) {
      const Tensor& value = parameter.variable.value();
      velocity_.push_back(
          momentum > 0 ? Tensor::zeros(value.shape(), DType::f32, value.device(), "optimizer state")
                       : Tensor{});
    }
  }

 private:
  void update(const std::vector<Update>& updates) override {
    for (const Update& each : updates) {
      const OptimizedParameter& parameter = parameters_[each.index];
      kernels::sgd({.parameter = parameter.variable.value(),
                    .velocity = velocity_[each.index],
                    .gradient = parameter.variable.grad(),
                    .gradient_scale = each.gradient_scale,
                    .learning_rate = static_cast<float>(each.learning_rate),
                    .momentum = static_cast<float>(momentum_),
                    .weight_decay = static_cast<float>(parameter.weight_decay)});
    }
  }

  std::vector<NamedTensor> state_of(std::size_t index) const override {
    if (!velocity_[index].defined()) return {};
    return {{parameters_[index].name + ".velocity", velocity_[index]}};
  }

  double momentum_;
  std::vector<Tensor> velocity_;
};

}  // namespace

std::unique_ptr<Optimizer> make_sgd(std::vector<OptimizedParameter> parameters, double momentum,
                                    double max_norm) {
  return std::make_unique<SgdOptimizer>(std::move(parameters), momentum, max_norm);
}

}  // namespace slotwise
