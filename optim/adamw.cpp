// AdamW on whole tensors (Loshchilov & Hutter 2019).
#include "kernels/adamw.h"

#include "optim/optimizer.h"

namespace slotwise {
namespace {

class AdamWOptimizer final : public Optimizer {
 public:
  AdamWOptimizer(std::vector<OptimizedParameter> parameters, const AdamWOptions& options,
                 double max_norm)
      : Optimizer(std::move(parameters), max_norm), options_(options) {
    for (const OptimizedParameter& parameter : parameters_) {
      const Tensor& value = parameter.variable.value();
      first_.push_back(Tensor::zeros(value.shape(), DType::f32, value.device(), "optimizer state"));
      second_.push_back(
          Tensor::zeros(value.shape(), DType::f32, value.device(), "optimizer state"));
    }
  }

 private:
  void update(std::size_t index, double learning_rate, const Tensor& gradient_scale) override {
    const OptimizedParameter& parameter = parameters_[index];
    kernels::adamw({.parameter = parameter.variable.value(),
                    .first_moment = first_[index],
                    .second_moment = second_[index],
                    .gradient = parameter.variable.grad(),
                    .gradient_scale = gradient_scale,
                    .learning_rate = static_cast<float>(learning_rate),
                    .beta1 = static_cast<float>(options_.beta1),
                    .beta2 = static_cast<float>(options_.beta2),
                    .epsilon = static_cast<float>(options_.epsilon),
                    .weight_decay = static_cast<float>(parameter.weight_decay),
                    .step = steps_});
  }

  std::vector<NamedTensor> state_of(std::size_t index) const override {
    const std::string& name = parameters_[index].name;
    return {{name + ".first_moment", first_[index]}, {name + ".second_moment", second_[index]}};
  }

  AdamWOptions options_;
  std::vector<Tensor> first_, second_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adamw(std::vector<OptimizedParameter> parameters,
                                      const AdamWOptions& options, double max_norm) {
  return std::make_unique<AdamWOptimizer>(std::move(parameters), options, max_norm);
}

}  // namespace slotwise
