// The tape: accumulation, aliasing, what is recorded, what is freed, and when.
//
// The ops here are made of record() alone: double_it(x) = 2 x hands over a fresh gradient,
// plus(a, b) hands one and the same gradient to both inputs, scaled(x, w) writes into sinks.
#include "core/variable.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/memory_pool.h"
#include "tests/kernels/memory_test_support.h"

namespace slotwise::testing {
namespace {

using Floats = std::vector<float>;

Tensor floats(const Floats& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())});
}

template <class Element>
Tensor elementwise(const Tensor& a, const Tensor& b, Element element) {
  const Tensor out = Tensor::empty_like(a, "test activation");
  for (std::int64_t i = 0; i < a.elements(); ++i) {
    out.data<float>()[i] = element(a.data<float>()[i], b.data<float>()[i]);
  }
  return out;
}

Variable double_it(const Variable& x) {
  const auto twice = [](float a, float) { return 2 * a; };
  return record("double_it", {x}, elementwise(x.value(), x.value(), twice),
                [twice](BackwardContext& context) {
                  const Tensor dy = context.output_grad();
                  context.give_input_grad(0, elementwise(dy, dy, twice));
                });
}

Variable plus(const Variable& a, const Variable& b) {
  return record("plus", {a, b}, elementwise(a.value(), b.value(), std::plus<float>()),
                [](BackwardContext& context) {
                  const Tensor dy = context.take_output_grad();
                  context.give_input_grad(0, dy);
                  context.give_input_grad(1, dy);
                });
}

// Halves its gradient in place where nobody else can see it.
Variable half_in_place(const Variable& x) {
  const auto half = [](float a, float) { return a / 2; };
  return record("half_in_place", {x}, elementwise(x.value(), x.value(), half),
                [half](BackwardContext& context) {
                  const Tensor dy = context.take_output_grad();
                  const Tensor dx = dy.unique() ? dy : Tensor::empty_like(dy);
                  dx.copy_from(elementwise(dy, dy, half));
                  context.give_input_grad(0, dx);
                });
}

Variable scaled(const Variable& x, const Variable& w) {
  const Tensor in = x.value(), factor = w.value();
  return record("scaled", {x, w}, elementwise(in, factor, std::multiplies<float>()),
                [=](BackwardContext& context) {
                  const Tensor dy = context.output_grad();
                  const auto write = [&](const Sink& sink, const Tensor& other) {
                    for (std::int64_t i = 0; sink && i < dy.elements(); ++i) {
                      const float value = dy.data<float>()[i] * other.data<float>()[i];
                      float& to = sink.tensor.data<float>()[i];
                      to = sink.accumulate ? to + value : value;
                    }
                  };
                  write(context.input_sink(0), factor);
                  write(context.input_sink(1), in);
                });
}

std::size_t live_bytes() {
  return MemoryPool::of({}).report().live_bytes;
}

TEST(Variable, DiamondAddsUp) {
  const Variable x(floats({1, 2}), true);
  const Variable shared = double_it(x);
  backward(plus(scaled(shared, shared), double_it(shared)), floats({1, 10}));
  // y = (2x)^2 + 4x, dy/dx = 8x + 4.
  EXPECT_EQ(x.grad().to_vector<float>(), (Floats{12, 200}));
}

TEST(Variable, OneVariableAsBothInputs) {
  const Variable x(floats({3}), true);
  backward(scaled(x, x));
  EXPECT_EQ(x.grad().to_vector<float>(), (Floats{6}));
  const Variable y(floats({3}), true);
  backward(plus(y, y));
  EXPECT_EQ(y.grad().to_vector<float>(), (Floats{2}));
}

TEST(Variable, AGradientHandedToTwoInputsIsCopiedBeforeItIsChanged) {
  // plus gives one tensor to the gradients of a and b; a then gathers more, b must not see it.
  const Variable x(floats({1}), true), y(floats({1}), true);
  const Variable a = double_it(x), b = double_it(y);
  const Variable early = double_it(a);  // runs after plus in backward, and adds to a's gradient
  const Variable sum = plus(early, plus(a, b));
  backward(sum);
  EXPECT_EQ(x.grad().to_vector<float>(), (Floats{6}));
  EXPECT_EQ(y.grad().to_vector<float>(), (Floats{2}));
}

TEST(Variable, AnOpThatWorksInPlaceLeavesASharedGradientAlone) {
  const Variable x(floats({1}), true), y(floats({1}), true);
  const Variable first = double_it(x);
  const Variable second = half_in_place(y);  // made last, so it runs first
  backward(plus(first, second));
  EXPECT_EQ(x.grad().to_vector<float>(), (Floats{2}));
  EXPECT_EQ(y.grad().to_vector<float>(), (Floats{0.5f}));
}

TEST(Variable, ALeafNeverSharesTheGradientThatItWasHanded) {
  const Variable x(floats({1}), true), y(floats({1}), true);
  const Tensor seed = floats({5});
  backward(plus(x, y), seed);
  backward(plus(x, double_it(x)));
  EXPECT_EQ(x.grad().to_vector<float>(), (Floats{8}));
  EXPECT_EQ(y.grad().to_vector<float>(), (Floats{5}));
  EXPECT_EQ(seed.to_vector<float>(), (Floats{5}));
}

TEST(Variable, AModuleAppliedSeveralTimes) {
  const Variable weight(floats({3}), true);
  Variable x(floats({2}), true);
  Variable y = x;
  for (int i = 0; i < 4; ++i) y = scaled(y, weight);
  backward(y);
  EXPECT_EQ(y.value().to_vector<float>(), (Floats{162}));
  EXPECT_EQ(weight.grad().to_vector<float>(), (Floats{4 * 27 * 2}));
  EXPECT_EQ(x.grad().to_vector<float>(), (Floats{81}));
}

TEST(Variable, SeveralOutputsAndUnusedOnes) {
  const Variable x(floats({1}), true);
  std::vector<bool> seen;
  const auto outputs = record("two", {x}, std::vector<Tensor>{floats({1}), floats({2})},
                              [&seen](BackwardContext& context) {
                                seen = {context.has_output_grad(0), context.has_output_grad(1)};
                                EXPECT_THROW(context.output_grad(0), Error);
                                context.give_input_grad(0, context.take_output_grad(1));
                              });
  backward(double_it(outputs[1]));
  EXPECT_EQ(seen, (std::vector<bool>{false, true}));
  EXPECT_EQ(x.grad().to_vector<float>(), (Floats{2}));
}

TEST(Variable, ClearGradKeepsTheBuffer) {
  const Variable x(floats({1, 1}), true);
  backward(double_it(x));
  const float* buffer = x.grad().data<float>();
  x.clear_grad();
  EXPECT_FALSE(x.has_grad());
  EXPECT_THROW(x.grad(), Error);
  backward(double_it(x));
  EXPECT_EQ(x.grad().data<float>(), buffer);
  EXPECT_EQ(x.grad().to_vector<float>(), (Floats{2, 2}));  // the old value is gone
  x.release_grad();
  EXPECT_FALSE(x.has_grad());
  x.set_requires_grad(false);
  EXPECT_FALSE(double_it(x).requires_grad());
}

TEST(Variable, AGradientThatSomebodyKeptIsNotOverwritten) {
  const Variable x(floats({1}), true);
  backward(double_it(x));
  const Tensor kept = x.grad();
  x.clear_grad();
  backward(double_it(double_it(x)));
  EXPECT_EQ(kept.to_vector<float>(), (Floats{2}));
  EXPECT_EQ(x.grad().to_vector<float>(), (Floats{4}));
}

TEST(Variable, NoGradRecordsNothing) {
  const Variable x(floats({1}), true);
  EXPECT_TRUE(recording());
  {
    const NoGrad outer;
    {
      const NoGrad inner;
      EXPECT_FALSE(recording());
    }
    EXPECT_FALSE(recording());
    const Variable y = double_it(x);
    EXPECT_FALSE(y.requires_grad());
    EXPECT_THROW(backward(y), Error);
  }
  EXPECT_TRUE(recording());
  EXPECT_TRUE(double_it(x).requires_grad());
  EXPECT_FALSE(double_it(x).detach().requires_grad());
}

TEST(Variable, OnlyLeavesCanChange) {
  const Variable x(floats({1}), true), y = double_it(x);
  EXPECT_THROW(y.set_requires_grad(false), Error);
  EXPECT_THROW(y.set_value(floats({2})), Error);
  x.set_value(floats({7}));
  EXPECT_EQ(x.value().to_vector<float>(), (Floats{7}));
  EXPECT_THROW(Variable().value(), Error);
}

// An op whose closure holds a token: the weak pointer dies with the closure.
Variable held(const Variable& x, std::weak_ptr<int>& alive, bool always = false) {
  auto token = std::make_shared<int>(0);
  alive = token;
  return record(
      "held", {x}, x.value().clone(),
      [token](BackwardContext& context) { context.give_input_grad(0, context.take_output_grad()); },
      always);
}

TEST(Variable, NothingIsKeptBelowTheLowestTrainableParameter) {
  const Variable frozen(floats({2})), weight(floats({3}), true);
  std::weak_ptr<int> below, above;
  const Variable low = held(frozen, below);
  EXPECT_TRUE(below.expired());
  EXPECT_FALSE(low.requires_grad());
  Variable top = held(scaled(low, weight), above);
  EXPECT_FALSE(above.expired());
  backward(top);
  EXPECT_TRUE(above.expired());
  EXPECT_EQ(weight.grad().to_vector<float>(), (Floats{2}));
  EXPECT_FALSE(frozen.has_grad());
}

TEST(Variable, AlwaysRecordsWithoutATrainableInput) {
  const Variable frozen(floats({2}));
  std::weak_ptr<int> alive;
  const Variable y = held(frozen, alive, true);
  EXPECT_TRUE(y.requires_grad());
  EXPECT_FALSE(alive.expired());
  backward(y);
  EXPECT_TRUE(alive.expired());
  EXPECT_FALSE(frozen.has_grad());
}

TEST(Variable, AnUnusedGraphIsFreed) {
  const Variable x(floats({1}), true);
  std::weak_ptr<int> alive;
  { const Variable y = held(x, alive); }
  EXPECT_TRUE(alive.expired());
}

TEST(Variable, ActivationsAreFreedAsBackwardRuns) {
  const std::int64_t size = 1 << 16;
  const std::size_t bytes = static_cast<std::size_t>(size) * 4;
  std::vector<std::size_t> live;
  const Variable x(Tensor::zeros({size}), true);
  const std::size_t start = live_bytes();
  Variable y = x;
  for (int i = 0; i < 5; ++i) {
    const Tensor in = y.value();
    y = record("probe", {y}, in.clone(), [in, &live](BackwardContext& context) {
      live.push_back(live_bytes());
      context.give_input_grad(0, context.take_output_grad());
    });
  }
  EXPECT_EQ(live_bytes(), start + 5 * bytes);
  Variable sum = record("sum", {y}, floats({0}), [size](BackwardContext& context) {
    context.give_input_grad(0, Tensor::zeros({size}));
  });
  y = {};
  backward(sum);
  sum = {};
  ASSERT_EQ(live.size(), 5u);
  // Each closure that has run gives one activation back.
  for (std::size_t i = 1; i < live.size(); ++i) EXPECT_EQ(live[i], live[i - 1] - bytes);
  EXPECT_EQ(live_bytes(), start + bytes);  // the gradient of x
}

TEST(Variable, AGraphRunsOnce) {
  const Variable x(floats({1}), true);
  const Variable shared = double_it(x);
  const Variable first = double_it(shared), second = double_it(shared);
  backward(first);
  EXPECT_THROW(backward(first), Error);
  EXPECT_THROW(backward(second), Error);  // its lower part has been freed
  EXPECT_EQ(x.grad().to_vector<float>(), (Floats{4}));
}

TEST(Checkpoint, GradientsAreThoseOfThePlainRun) {
  const Variable weight(floats({3, -1}), true), x(floats({0.3f, 7}), true);
  std::vector<bool> again;
  const CheckpointBody body = [&](const std::vector<Variable>& in) {
    again.push_back(recomputing());
    return scaled(plus(scaled(in[0], weight), in[0]), weight);
  };
  backward(double_it(body({double_it(x)})));
  const Tensor dx = x.grad().clone(), dweight = weight.grad().clone();
  x.clear_grad();
  weight.clear_grad();
  again.clear();
  const Variable y = checkpoint(body, {double_it(x)}, true);
  EXPECT_EQ(again, (std::vector<bool>{false}));
  backward(double_it(y));
  EXPECT_EQ(again, (std::vector<bool>{false, true}));
  EXPECT_FALSE(recomputing());
  EXPECT_TRUE(equal_bits(x.grad(), dx));
  EXPECT_TRUE(equal_bits(weight.grad(), dweight));
}

TEST(Checkpoint, WithoutTrainableInputsStillReachesItsParameters) {
  const Variable weight(floats({3}), true), x(floats({2}));
  const CheckpointBody body = [&](const std::vector<Variable>& in) {
    return scaled(in[0], weight);
  };
  EXPECT_FALSE(checkpoint(body, {x}, false).requires_grad());
  backward(checkpoint(body, {x}, true));
  EXPECT_EQ(weight.grad().to_vector<float>(), (Floats{2}));
}

TEST(Checkpoint, KeepsNoActivationsAndSurvivesAThrowingBody) {
  const std::int64_t size = 1 << 16;
  const Variable x(Tensor::zeros({size}), true);
  const std::size_t start = live_bytes();
  const Variable y = checkpoint(
      [](const std::vector<Variable>& in) { return double_it(double_it(double_it(in[0]))); }, {x},
      false);
  EXPECT_EQ(live_bytes(), start + static_cast<std::size_t>(size) * 4);
  const Variable bad = checkpoint(
      [](const std::vector<Variable>& in) {
        if (recomputing()) fail("the second run failed");
        return double_it(in[0]);
      },
      {x}, false);
  EXPECT_THROW(backward(bad), Error);
  EXPECT_FALSE(recomputing());
}

// A leaf's gradient may be sent away while backward runs: it is told when it is complete.
TEST(LeafFunction, IsCalledOnceALeafIsComplete) {
  const Variable low(floats({2}), true), high(floats({3}), true), x(floats({5}));
  const Variable early = scaled(x, low);
  const Variable y = scaled(scaled(scaled(early, low), high), high);
  std::vector<std::pair<const void*, Floats>> told;
  backward(y, {}, [&](const Variable& leaf) {
    told.emplace_back(leaf.identity(), leaf.grad().to_vector<float>());
  });
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0], (std::pair{high.identity(), Floats{120}}));  // both of its uses: 2 * 3 * 4 * 5
  EXPECT_EQ(told[1], (std::pair{low.identity(), Floats{180}}));   // 2 * 2 * 9 * 5
}

TEST(LeafFunction, WaitsForCheckpointsThatMayReadTheLeaf) {
  const Variable weight(floats({3}), true), x(floats({2}));
  const CheckpointBody body = [&](const std::vector<Variable>& in) {
    return scaled(in[0], weight);
  };
  const Variable y = scaled(checkpoint(body, {x}, true), weight);
  std::vector<Floats> told;
  backward(y, {}, [&](const Variable& leaf) { told.push_back(leaf.grad().to_vector<float>()); });
  EXPECT_EQ(told, (std::vector<Floats>{{12}}));  // 2 * 3 * 2, of both uses
}

}  // namespace
}  // namespace slotwise::testing
