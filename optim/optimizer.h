// Optimizers of whole tensors. An optimizer sees a list of parameters with their settings; it knows
// nothing of layers. Gradients are clipped by global norm, each clip group by itself (Pascanu et
// al. 2013).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/safetensors.h"
#include "core/variable.h"

namespace slotwise {

struct OptimizedParameter {
  std::string name;
  Variable variable;
  double rate_scale = 1.0;  // its learning rate is the step's rate times this
  double weight_decay = 0.0;
  int clip_group = 0;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  // Updates every parameter that has a gradient; none where a gradient is not finite (the step
  // counts all the same). Returns the norm of all gradients before clipping.
  double step(double learning_rate);
  // The same, and no waiting for a device: returns the squares of the norms, a clip group each [G].
  Tensor queue_step(double learning_rate);
  // The state as named tensors, for a checkpoint; load_state() takes exactly those.
  std::vector<NamedTensor> state() const;
  void load_state(const TensorFile& file);
  void clear_gradients() const;
  std::int64_t steps() const { return steps_; }
  void set_steps(std::int64_t steps) { steps_ = steps; }

 protected:
  Optimizer(std::vector<OptimizedParameter> parameters, double max_norm);
  struct Update {
    std::size_t index;
    double learning_rate;
    Tensor gradient_scale;  // [1]: the clip factor
  };
  virtual void update(const std::vector<Update>& updates) = 0;
  virtual std::vector<NamedTensor> state_of(std::size_t index) const = 0;
  virtual void state_loaded() {}

  std::vector<OptimizedParameter> parameters_;
  std::int64_t steps_ = 0;

 private:
  double max_norm_;  // 0: no clipping
};

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
};
std::unique_ptr<Optimizer> make_adamw(std::vector<OptimizedParameter> parameters,
                                      const AdamWOptions& options, double max_norm);
std::unique_ptr<Optimizer> make_sgd(std::vector<OptimizedParameter> parameters, double momentum,
                                    double max_norm);

}  // namespace slotwise
