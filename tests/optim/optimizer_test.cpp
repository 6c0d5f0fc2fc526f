// Optimizers of whole tensors against double precision, clip groups, state, and schedules.
#include "optim/optimizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "layers/functional/add.h"
#include "optim/schedule.h"
#include "tests/data/temporary_folder.h"
#include "tests/kernels/memory_test_support.h"
#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

using Vector = std::vector<double>;

// Gives a leaf exactly this gradient.
void set_gradient(const Variable& variable, const Tensor& gradient) {
  variable.clear_grad();
  backward(add(variable, variable.detach()), gradient.clone());
}

struct Setting {
  std::int64_t size;
  double rate_scale, weight_decay;
  int clip_group;
};
const Setting kSettings[] = {{7, 1.0, 0.1, 0}, {4, 1.0, 0.0, 0}, {300, 0.5, 0.0, 2}};

std::vector<OptimizedParameter> make_parameters() {
  std::vector<OptimizedParameter> out;
  for (const Setting& setting : kSettings) {
    const auto index = static_cast<std::uint64_t>(out.size());
    out.push_back({fmt::format("p{}", index),
                   Variable(random_normal({setting.size}, index + 1), true), setting.rate_scale,
                   setting.weight_decay, setting.clip_group});
  }
  return out;
}

// Gradients of a step; the third parameter's are large, so that only its group is clipped.
Tensor gradient_at(std::size_t parameter, int step) {
  return random_normal({kSettings[parameter].size},
                       static_cast<std::uint64_t>(100 * step) + parameter,
                       parameter == 2 ? 3.0f : 0.2f);
}

double squares(const Vector& x) {
  double sum = 0.0;
  for (const double value : x) sum += value * value;
  return sum;
}

// torch.nn.utils.clip_grad_norm_ on the parameters of one group.
double clip_factor(const std::vector<Vector>& gradients, int group, double max_norm) {
  double sum = 0.0;
  for (std::size_t p = 0; p < gradients.size(); ++p) {
    if (kSettings[p].clip_group == group) sum += squares(gradients[p]);
  }
  return max_norm > 0 ? std::min(1.0, max_norm / (std::sqrt(sum) + 1e-6)) : 1.0;
}

// Runs 5 steps beside `reference(parameter, value, clipped gradient, rate, step from 1)`.
template <class Reference>
void expect_steps(Optimizer& optimizer, const std::vector<OptimizedParameter>& parameters,
                  double max_norm, Reference reference) {
  std::vector<Vector> values;
  for (const auto& parameter : parameters) values.push_back(to_doubles(parameter.variable.value()));
  for (int step = 1; step <= 5; ++step) {
    const double rate = 0.1 / step;
    std::vector<Vector> gradients;
    double total = 0.0;
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      const Tensor gradient = gradient_at(p, step);
      set_gradient(parameters[p].variable, gradient);
      gradients.push_back(to_doubles(gradient));
      total += squares(gradients.back());
    }
    EXPECT_NEAR(optimizer.step(rate), std::sqrt(total), 1e-4);
    EXPECT_EQ(optimizer.steps(), step);
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      const double factor = clip_factor(gradients, kSettings[p].clip_group, max_norm);
      Vector clipped = gradients[p];
      for (double& g : clipped) g *= factor;
      reference(p, values[p], clipped, rate * kSettings[p].rate_scale, step);
      EXPECT_LT(relative_error(parameters[p].variable.value(), values[p]), 2e-6)
          << "parameter " << p << " step " << step;
      // Clipping happens as the gradient is read.
      EXPECT_TRUE(equal_bits(parameters[p].variable.grad(), gradient_at(p, step)));
    }
  }
}

TEST(AdamWOptimizer, FiveStepsWithDecayAndClipGroups) {
  for (const double max_norm : {0.0, 1.0}) {
    const auto parameters = make_parameters();
    const AdamWOptions options{0.8, 0.95, 1e-6};
    const auto optimizer = make_adamw(parameters, options, max_norm);
    std::vector<Vector> first(3, Vector(300, 0.0)), second = first;
    expect_steps(*optimizer, parameters, max_norm,
                 [&](std::size_t p, Vector& value, const Vector& g, double rate, int step) {
                   for (std::size_t i = 0; i < value.size(); ++i) {
                     double &m = first[p][i], &v = second[p][i];
                     m = options.beta1 * m + (1 - options.beta1) * g[i];
                     v = options.beta2 * v + (1 - options.beta2) * g[i] * g[i];
                     const double mean = m / (1 - std::pow(options.beta1, step));
                     const double root = std::sqrt(v / (1 - std::pow(options.beta2, step)));
                     value[i] -= rate * kSettings[p].weight_decay * value[i];
                     value[i] -= rate * mean / (root + options.epsilon);
                   }
                 });
  }
}

TEST(SgdOptimizer, FiveStepsWithMomentum) {
  for (const double momentum : {0.0, 0.9}) {
    const auto parameters = make_parameters();
    const auto optimizer = make_sgd(parameters, momentum, 1.0);
    std::vector<Vector> velocity(3, Vector(300, 0.0));
    expect_steps(*optimizer, parameters, 1.0,
                 [&](std::size_t p, Vector& value, const Vector& g, double rate, int) {
                   for (std::size_t i = 0; i < value.size(); ++i) {
                     double& v = velocity[p][i];
                     v = momentum * v + g[i] + kSettings[p].weight_decay * value[i];
                     value[i] -= rate * v;
                   }
                 });
    EXPECT_EQ(optimizer->state().size(), momentum > 0 ? 3u : 0u);
  }
}

TEST(AdamWOptimizer, LeavesParametersWithoutAGradientAlone) {
  const auto parameters = make_parameters();
  const auto optimizer = make_adamw(parameters, {}, 1.0);
  const Tensor before = parameters[1].variable.value().clone();
  set_gradient(parameters[0].variable, gradient_at(0, 1));
  EXPECT_GT(optimizer->step(0.1), 0.0);
  EXPECT_TRUE(equal_bits(parameters[1].variable.value(), before));
  optimizer->clear_gradients();
  EXPECT_FALSE(parameters[0].variable.has_grad());
  EXPECT_EQ(optimizer->step(0.1), 0.0);
}

TEST(AdamWOptimizer, ResumesFromItsState) {
  const TemporaryFolder folder;
  const auto straight = make_parameters(), resumed = make_parameters();
  const auto run = [](Optimizer& optimizer, const std::vector<OptimizedParameter>& parameters,
                      int from, int to) {
    for (int step = from; step < to; ++step) {
      for (std::size_t p = 0; p < parameters.size(); ++p) {
        set_gradient(parameters[p].variable, gradient_at(p, step));
      }
      optimizer.step(0.05);
    }
  };
  const auto whole = make_adamw(straight, {}, 1.0), before = make_adamw(resumed, {}, 1.0);
  run(*whole, straight, 0, 6);
  run(*before, resumed, 0, 3);
  EXPECT_EQ(before->state().size(), 6u);
  write_safetensors(folder / "state", before->state());
  const auto after = make_adamw(resumed, {}, 1.0);
  after->load_state(read_safetensors(folder / "state"));
  after->set_steps(3);
  run(*after, resumed, 3, 6);
  for (std::size_t p = 0; p < straight.size(); ++p) {
    EXPECT_TRUE(equal_bits(straight[p].variable.value(), resumed[p].variable.value()));
  }
  auto other = make_parameters();
  other[0].name = "renamed";
  const TensorFile file = read_safetensors(folder / "state");
  EXPECT_TRUE(contains(user_error_of([&] { make_adamw(other, {}, 1.0)->load_state(file); }),
                       "renamed.first_moment"));
  other[0] = {"p0", Variable(Tensor::zeros({8}), true)};
  EXPECT_TRUE(
      contains(user_error_of([&] { make_adamw(other, {}, 1.0)->load_state(file); }), "[8]"));
}

TEST(Schedule, ByHand) {
  const Schedule constant{Decay::constant, 4, 100, 0.5};
  EXPECT_DOUBLE_EQ(constant.factor(0), 0.25);
  EXPECT_DOUBLE_EQ(constant.factor(3), 1.0);
  EXPECT_DOUBLE_EQ(constant.factor(1000), 1.0);
  const Schedule linear{Decay::linear, 0, 10, 0.2};
  EXPECT_DOUBLE_EQ(linear.factor(0), 1.0);
  EXPECT_DOUBLE_EQ(linear.factor(5), 0.6);
  EXPECT_DOUBLE_EQ(linear.factor(10), 0.2);
  EXPECT_DOUBLE_EQ(linear.factor(11), 0.2);
  const Schedule cosine{Decay::cosine, 0, 12, 0.0};
  EXPECT_NEAR(cosine.factor(4), 0.75, 1e-12);
  EXPECT_NEAR(cosine.factor(6), 0.5, 1e-12);
  EXPECT_NEAR(cosine.factor(12), 0.0, 1e-12);
  const Schedule both{Decay::linear, 2, 4, 0.0};
  EXPECT_DOUBLE_EQ(both.factor(0), 0.5);
  EXPECT_DOUBLE_EQ(both.factor(1), 0.75);
  EXPECT_DOUBLE_EQ(both.factor(2), 0.5);
  EXPECT_DOUBLE_EQ((Schedule{Decay::linear, 0, 0, 0.0}.factor(0)), 1.0);
}

TEST(Schedule, Names) {
  EXPECT_EQ(parse_decay("constant"), Decay::constant);
  EXPECT_EQ(parse_decay("linear"), Decay::linear);
  EXPECT_EQ(parse_decay("cosine"), Decay::cosine);
  EXPECT_TRUE(contains(user_error_of([] { parse_decay("cosin"); }), "'cosin'"));
}

}  // namespace
}  // namespace slotwise::testing
