// AdamW on whole tensors (Loshchilov & Hutter 2019).
#include "kernels/adamw.h"

#include <algorithm>

#include "core/parallel.h"

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
      const auto zeros = [&](const Shape& shape, DType dtype) {
        return Tensor::zeros(shape, dtype, value.device(), "optimizer state");
      };
      first_.push_back(zeros(value.shape(), DType::f32));
      second_.push_back(zeros(value.shape(), DType::f32));
      live_.push_back(parameter.weight_decay == 0.0 && parameter.variable.row_sparse()
                          ? zeros({value.size(0)}, DType::u8)
                          : Tensor());
    }
  }

 private:
  void update(const std::vector<Update>& updates) override {
    kernels::AdamWAll all;
    for (const Update& each : updates) all.steps.push_back(step_of(each));
    kernels::adamw_all(all);
  }

  kernels::AdamW step_of(const Update& update) {
    const std::size_t index = update.index;
    const OptimizedParameter& parameter = parameters_[index];
    const Tensor& live = live_[index];
    TouchedRows rows = parameter.variable.row_grad();
    if (!live.defined() || !rows.touched.defined()) rows = {parameter.variable.grad(), {}};
    if (live.defined() && !rows.touched.defined()) mark_all(live);
    return {.parameter = parameter.variable.value(),
            .first_moment = first_[index],
            .second_moment = second_[index],
            .gradient = rows.gradient,
            .touched = rows.touched,
            .live = rows.touched.defined() ? live : Tensor(),
            .gradient_scale = update.gradient_scale,
            .learning_rate = static_cast<float>(update.learning_rate),
            .beta1 = static_cast<float>(options_.beta1),
            .beta2 = static_cast<float>(options_.beta2),
            .epsilon = static_cast<float>(options_.epsilon),
            .weight_decay = static_cast<float>(parameter.weight_decay),
            .step = steps_};
  }

  void state_loaded() override {
    for (std::size_t i = 0; i < live_.size(); ++i) {
      if (live_[i].defined()) mark_moved(first_[i], second_[i], live_[i]);
    }
  }

  // Rows whose moments are all 0 do not move without a gradient.
  static void mark_moved(const Tensor& first, const Tensor& second, const Tensor& live) {
    const Tensor m = first.to(Device{}), v = second.to(Device{});
    const std::int64_t rows = m.size(0), D = m.size(1);
    const auto moved = [D](const Tensor& x, std::int64_t row) {
      const float* values = x.data<float>() + row * D;
      return std::any_of(values, values + D, [](float value) { return value != 0.0f; });
    };
    std::vector<std::uint8_t> flags(static_cast<std::size_t>(rows));
    parallel_for(rows, 256, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t row = begin; row < end; ++row) {
        flags[static_cast<std::size_t>(row)] = moved(m, row) || moved(v, row) ? 1 : 0;
      }
    });
    live.copy_from(Tensor::from(flags, {rows}));
  }

  static void mark_all(const Tensor& live) {
    const std::vector<std::uint8_t> ones(static_cast<std::size_t>(live.elements()), 1);
    live.copy_from(Tensor::from(ones, live.shape()));
  }

  std::vector<NamedTensor> state_of(std::size_t index) const override {
    const std::string& name = parameters_[index].name;
    return {{name + ".first_moment", first_[index]}, {name + ".second_moment", second_[index]}};
  }

  AdamWOptions options_;
  std::vector<Tensor> first_, second_;
  std::vector<Tensor> live_;  // [N] of a row-sparse table; undefined for other parameters
};

}  // namespace

std::unique_ptr<Optimizer> make_adamw(std::vector<OptimizedParameter> parameters,
                                      const AdamWOptions& options, double max_norm) {
  return std::make_unique<AdamWOptimizer>(std::move(parameters), options, max_norm);
}

}  // namespace slotwise
