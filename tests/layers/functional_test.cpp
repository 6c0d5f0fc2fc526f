// Small graphs of functional ops against double-precision references: values and all gradients.
#include <gtest/gtest.h>

#include "core/memory_pool.h"
#include "layers/functional/add.h"
#include "layers/functional/add_scaled.h"
#include "layers/functional/batch_norm.h"
#include "layers/functional/embedding.h"
#include "layers/functional/language_model_loss.h"
#include "layers/functional/linear.h"
#include "layers/functional/rms_norm.h"
#include "layers/functional/swiglu.h"
#include "layers/functional/view.h"
#include "tests/kernels/memory_test_support.h"
#include "tests/layers/double_reference.h"
#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

constexpr double kValueTolerance = 2e-6, kGradientTolerance = 2e-5;

// The same inputs in fp32 on the tape and in double precision.
struct Inputs {
  std::vector<Variable> variables;
  std::vector<Doubles1> doubles;

  const Variable& add(const Shape& shape, float std = 1.0f) {
    const auto seed = static_cast<std::uint64_t>(variables.size()) + 1;
    variables.emplace_back(random_normal(shape, seed, std), true);
    doubles.push_back(to_doubles(variables.back().value()));
    return variables.back();
  }
  // All gradients against differences of `loss`, which reads `doubles`.
  template <class Loss>
  void expect_gradients(Loss&& loss) {
    for (std::size_t i = 0; i < variables.size(); ++i) {
      ASSERT_TRUE(variables[i].has_grad()) << "input " << i;
      EXPECT_LT(relative_error(variables[i].grad(), differences(doubles[i], loss)),
                kGradientTolerance)
          << "input " << i;
    }
  }
};

Tensor integers(const std::vector<std::int32_t>& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())});
}

TEST(Functional, LinearAndLowRank) {
  constexpr std::int64_t M = 5, kIn = 7, kOut = 4, kRank = 2;
  constexpr float kScale = 1.75f;
  Inputs in;
  for (const Shape& shape :
       {Shape{M, kIn}, Shape{kOut, kIn}, Shape{kRank, kIn}, Shape{kOut, kRank}}) {
    in.add(shape);
  }
  const auto& v = in.variables;
  const Tensor seed = random_normal({M, kOut}, 99);
  const auto reference = [&] {
    const auto& d = in.doubles;
    const Doubles1 plain = times_transposed(d[0], d[1], kIn);
    const Doubles1 narrow = times_transposed(d[0], d[2], kIn);
    return plus(plus(plain, times_transposed(narrow, d[3], kRank), double{kScale}), plain);
  };
  // The weight stands in both, so its gradient and that of x are accumulated.
  const Variable y = add(low_rank_linear(v[0], v[1], v[2], v[3], kScale), linear(v[0], v[1]));
  EXPECT_LT(relative_error(y.value(), reference()), kValueTolerance);
  backward(y, seed.clone());
  in.expect_gradients([&] { return dot(reference(), to_doubles(seed)); });
}

TEST(Functional, LinearReadsLeadingDimensionsAsRows) {
  const Variable x(random_normal({2, 3, 4}, 1)), w(random_normal({5, 4}, 2));
  const Variable y = linear(x, w);
  EXPECT_EQ(y.shape(), (Shape{2, 3, 5}));
  EXPECT_TRUE(equal_bits(y.value().view({6, 5}), linear(view(x, {6, 4}), w).value()));
}

TEST(Functional, AddRmsNormWithBothOutputsUsed) {
  constexpr std::int64_t M = 4, C = 6;
  constexpr double kEpsilon = 1e-3;
  Inputs in;
  for (const Shape& shape : {Shape{M, C}, Shape{M, C}, Shape{C}}) in.add(shape);
  const auto& v = in.variables;
  const Tensor seed = random_normal({M, C}, 99);
  const NormedSum out = add_rms_norm(v[0], v[1], v[2], static_cast<float>(kEpsilon));
  const Variable y = swiglu(out.normed, out.sum);
  const auto reference = [&] {
    const Doubles1 sum = plus(in.doubles[0], in.doubles[1]);
    return gated(rms_normed(sum, in.doubles[2], C, kEpsilon), sum);
  };
  EXPECT_LT(relative_error(y.value(), reference()), kValueTolerance);
  backward(y, seed.clone());
  in.expect_gradients([&] { return dot(reference(), to_doubles(seed)); });
}

TEST(Functional, AddRmsNormWithOneOutputUsed) {
  const Variable x(random_normal({2, 4}, 1), true), r(random_normal({2, 4}, 2), true);
  const Variable gain(random_normal({4}, 3), true);
  const Tensor seed = random_normal({2, 4}, 4);
  backward(add_rms_norm(x, r, gain, 1e-5f).sum, seed.clone());
  EXPECT_TRUE(equal_bits(x.grad(), seed));
  EXPECT_TRUE(equal_bits(r.grad(), seed));
  for (const float value : gain.grad().to_vector<float>()) EXPECT_EQ(value, 0.0f);
  for (const Variable& variable : {x, r, gain}) variable.clear_grad();
  backward(add_rms_norm(x, r, gain, 1e-5f).normed, seed.clone());
  const Variable sum(x.value().clone(), true);
  for (std::int64_t i = 0; i < 8; ++i) sum.value().data<float>()[i] += r.value().data<float>()[i];
  backward(rms_norm(sum, gain, 1e-5f), seed.clone());
  EXPECT_TRUE(equal_bits(x.grad(), r.grad()));
  EXPECT_LT(relative_error(x.grad(), to_doubles(sum.grad())), kValueTolerance);
}

TEST(Functional, ResidualChainSharesGradientsSafely) {
  // Every add_rms_norm hands one gradient to two inputs; the stream and the branches must not mix.
  constexpr std::int64_t M = 3, C = 5;
  constexpr double kEpsilon = 1e-2;
  Inputs in;
  for (int i = 0; i < 5; ++i) in.add(i < 2 ? Shape{M, C} : Shape{C, C}, i < 2 ? 1.0f : 0.5f);
  const auto& v = in.variables;
  const Tensor seed = random_normal({M, C}, 99);
  NormedSum stream = add_rms_norm(v[0], v[1], {}, static_cast<float>(kEpsilon));
  for (std::size_t layer = 2; layer < 5; ++layer) {
    stream =
        add_rms_norm(stream.sum, linear(stream.normed, v[layer]), {}, static_cast<float>(kEpsilon));
  }
  const Variable y = add(stream.normed, stream.sum);
  const auto reference = [&] {
    Doubles1 sum = plus(in.doubles[0], in.doubles[1]);
    for (std::size_t layer = 2; layer < 5; ++layer) {
      sum = plus(sum, times_transposed(rms_normed(sum, {}, C, kEpsilon), in.doubles[layer], C));
    }
    return plus(rms_normed(sum, {}, C, kEpsilon), sum);
  };
  EXPECT_LT(relative_error(y.value(), reference()), kValueTolerance);
  backward(y, seed.clone());
  in.expect_gradients([&] { return dot(reference(), to_doubles(seed)); });
}

TEST(Functional, AddRmsNormLeavesASharedGradientAlone) {
  // One tensor is the gradient of the sum and of an older branch, which runs after the norm.
  constexpr std::int64_t M = 3, C = 5;
  constexpr double kEpsilon = 1e-2;
  Inputs in;
  for (const Shape& shape : {Shape{M, C}, Shape{M, C}, Shape{C, C}}) in.add(shape);
  const auto& v = in.variables;
  const Tensor seed = random_normal({M, C}, 99);
  const Variable branch = linear(v[0], v[2]);
  const NormedSum out = add_rms_norm(v[0], v[1], {}, static_cast<float>(kEpsilon));
  backward(swiglu(out.normed, add(out.sum, branch)), seed.clone());
  in.expect_gradients([&] {
    const Doubles1 sum = plus(in.doubles[0], in.doubles[1]);
    const Doubles1 up = plus(sum, times_transposed(in.doubles[0], in.doubles[2], C));
    return dot(gated(rms_normed(sum, {}, C, kEpsilon), up), to_doubles(seed));
  });
}

TEST(Functional, AddScaledAndItsFactor) {
  Inputs in;
  for (const Shape& shape : {Shape{3, 4}, Shape{3, 4}, Shape{1}}) in.add(shape);
  const Tensor seed = random_normal({3, 4}, 99);
  const Variable y = add_scaled(in.variables[0], in.variables[1], in.variables[2]);
  backward(add_scaled(y, in.variables[0], in.variables[2]), seed.clone());
  in.expect_gradients([&] {
    const auto& d = in.doubles;
    return dot(plus(plus(d[0], d[1], d[2][0]), d[0], d[2][0]), to_doubles(seed));
  });
}

TEST(Functional, EmbeddingAddsUpRepeatedTokens) {
  const Variable table(random_normal({4, 3}, 1), true);
  const Variable y = embedding(table, integers({2, 0, 2}).view({1, 3}));
  EXPECT_EQ(y.shape(), (Shape{3, 3}));
  backward(y, random_normal({3, 3}, 2));
  const Tensor seed = random_normal({3, 3}, 2);
  for (std::int64_t c = 0; c < 3; ++c) {
    const float* d = seed.data<float>();
    EXPECT_EQ(table.grad().data<float>()[c], d[3 + c]);
    EXPECT_EQ(table.grad().data<float>()[3 + c], 0.0f);
    EXPECT_FLOAT_EQ(table.grad().data<float>()[6 + c], d[c] + d[6 + c]);
  }
}

TEST(Functional, BatchNormMovesItsStatisticsOnceUnderCheckpointing) {
  const Variable x(random_normal({6, 3}, 1), true), bias(Tensor::zeros({3}), true);
  const Variable gain(random_normal({3}, 2), true);
  const Tensor seed = random_normal({6, 3}, 3);
  std::vector<Tensor> means, gradients;
  for (const bool checkpointed : {false, true}) {
    const BatchNormState state{Tensor::zeros({3}), Tensor::zeros({3})};
    const CheckpointBody body = [&](const std::vector<Variable>& in) {
      return batch_norm(in[0], gain, bias, state, {}, true);
    };
    x.clear_grad();
    backward(checkpointed ? checkpoint(body, {x}, true) : body({x}), seed.clone());
    means.push_back(state.running_mean);
    means.push_back(state.running_variance);
    gradients.push_back(x.grad().clone());
  }
  EXPECT_TRUE(equal_bits(means[0], means[2]));
  EXPECT_TRUE(equal_bits(means[1], means[3]));
  EXPECT_TRUE(equal_bits(gradients[0], gradients[1]));
}

// sum over rows with a target of -log softmax(h W^T)[target] / divisor.
double reference_loss(const Doubles1& hidden, const Doubles1& head, std::int64_t C,
                      const std::vector<std::int32_t>& targets, double divisor) {
  const Doubles1 logits = times_transposed(hidden, head, C);
  const std::size_t V = head.size() / at(C);
  double loss = 0.0;
  for (std::size_t row = 0; row < targets.size(); ++row) {
    if (targets[row] < 0) continue;
    double sum = 0.0;
    for (std::size_t v = 0; v < V; ++v) sum += std::exp(logits[row * V + v]);
    loss += std::log(sum) - logits[row * V + at(targets[row])];
  }
  return loss / divisor;
}

TEST(LanguageModelLoss, ValueAndGradients) {
  const std::vector<std::int32_t> targets = {3, -1, 0, 8, -1, 3};
  constexpr std::int64_t C = 4, V = 9;
  constexpr double kDivisor = 7.0;
  Inputs in;
  in.add({6, C});
  in.add({V, C});
  const auto chosen = LossTargets::from(integers(targets), {});
  EXPECT_EQ(chosen.count(), 4);
  const Variable loss = language_model_loss(in.variables[0], in.variables[1], chosen, kDivisor);
  const auto reference = [&] {
    return reference_loss(in.doubles[0], in.doubles[1], C, targets, kDivisor);
  };
  EXPECT_NEAR(static_cast<double>(loss.value().data<float>()[0]), reference(), 1e-6);
  backward(loss, Tensor::from<float>({0.5f}, {1}));
  in.expect_gradients([&] { return 0.5 * reference(); });
  for (std::int64_t c = 0; c < C; ++c) EXPECT_EQ(in.variables[0].grad().data<float>()[C + c], 0.0f);

  const auto each = token_losses(in.variables[0].value(), in.variables[1].value(), chosen);
  double sum = 0.0;
  for (const float value : each.to_vector<float>()) sum += static_cast<double>(value);
  EXPECT_NEAR(sum / kDivisor, reference(), 1e-6);
}

TEST(LanguageModelLoss, AddsToGradientsThatAreThere) {
  const std::vector<std::int32_t> targets = {1, -1, 2};
  const auto chosen = LossTargets::from(integers(targets), {});
  Inputs in;
  in.add({3, 4});
  in.add({5, 4});
  const Variable hidden = linear(in.variables[0], Variable(random_normal({4, 4}, 50)));
  const Variable first = language_model_loss(hidden, in.variables[1], chosen, 2.0);
  const Variable second = language_model_loss(hidden, in.variables[1], chosen, 1.0);
  backward(add(first, second));
  const Doubles1 weight = to_doubles(random_normal({4, 4}, 50));
  in.expect_gradients([&] {
    const Doubles1 h = times_transposed(in.doubles[0], weight, 4);
    return 1.5 * reference_loss(h, in.doubles[1], 4, targets, 1.0);
  });
}

TEST(LanguageModelLoss, ChunksAddUp) {
  // 32 rows a chunk at this vocabulary: 70 rows make three.
  constexpr std::int64_t C = 2, V = 1 << 17, kRows = 70;
  const Variable hidden(random_normal({kRows, C}, 1), true), head(random_normal({V, C}, 2), true);
  const Tensor targets = random_integers({kRows}, 3, static_cast<std::int32_t>(V));
  MemoryPool::of({}).reset_peaks();
  const Variable whole =
      language_model_loss(hidden, head, LossTargets::from(targets, {}), double{kRows});
  for (const AllocationRow& row : MemoryPool::of({}).report().rows) {
    if (row.name == "logits chunk") {
      EXPECT_EQ(row.peak_bytes, std::size_t{V} * 32 * 4);
    }
  }
  backward(whole);
  const Tensor dhidden = hidden.grad().clone(), dhead = head.grad().clone();
  double loss = 0.0;
  hidden.clear_grad();
  head.clear_grad();
  for (std::int64_t begin = 0; begin < kRows; begin += 35) {  // other borders than the chunks'
    std::vector<std::int32_t> part(at(kRows), -1);
    for (std::int64_t i = begin; i < begin + 35; ++i) {
      part[at(i)] = targets.data<std::int32_t>()[i];
    }
    const Variable piece =
        language_model_loss(hidden, head, LossTargets::from(integers(part), {}), double{kRows});
    loss += static_cast<double>(piece.value().data<float>()[0]);
    backward(piece);
  }
  EXPECT_NEAR(static_cast<double>(whole.value().data<float>()[0]), loss, 1e-5);
  EXPECT_LT(relative_error(dhidden, to_doubles(hidden.grad())), kValueTolerance);
  EXPECT_LT(relative_error(dhead, to_doubles(head.grad())), kValueTolerance);
  EXPECT_NEAR(loss,
              reference_loss(to_doubles(hidden.value()), to_doubles(head.value()), C,
                             targets.to_vector<std::int32_t>(), double{kRows}),
              1e-5);
}

TEST(LanguageModelLoss, NoTargetsMeanNoGradient) {
  const Variable hidden(random_normal({2, 3}, 1), true), head(random_normal({4, 3}, 2), true);
  const Variable loss =
      language_model_loss(hidden, head, LossTargets::from(integers({-1, -1}), {}), 1.0);
  EXPECT_EQ(loss.value().data<float>()[0], 0.0f);
  backward(loss);
  for (const float value : hidden.grad().to_vector<float>()) EXPECT_EQ(value, 0.0f);
  for (const float value : head.grad().to_vector<float>()) EXPECT_EQ(value, 0.0f);
  const auto some = LossTargets::from(integers({1, -1}), {});
  EXPECT_THROW(language_model_loss(hidden, head, some, 0.0), Error);
}

}  // namespace
}  // namespace slotwise::testing
