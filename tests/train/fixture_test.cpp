// The whole model against an independent PyTorch implementation: logits, loss, every gradient, five
// AdamW steps; and sparse memory finetuning with two unequal micro-batches, with both row
// optimizers.
#include <gtest/gtest.h>

#include "kernels/gemm.h"
#include "layers/functional/batch_norm.h"
#include "memory/sparse_step.h"
#include "optim/optimizer.h"
#include "optim/row_optimizer.h"
#include "tests/train/fixture_support.h"

namespace slotwise::testing {
namespace {

constexpr double kForward = 5e-6, kParameter = 1e-5, kUpdate = 1e-3, kLoss = 1e-5;

Tensor difference(const Tensor& a, const std::vector<float>& b) {
  std::vector<float> out = a.to_vector<float>();
  for (std::size_t i = 0; i < out.size(); ++i) out[i] -= b[i];
  return Tensor::from(out, a.shape());
}

std::vector<double> at(const std::vector<double>& values, std::size_t index) {
  return {values[index]};
}

class ModelFixture : public ::testing::TestWithParam<const char*> {
 protected:
  std::string folder_ = GetParam();
  std::unique_ptr<MemoryModel> model_ = fixture_model(folder_);
  TensorFile expected_ = read_safetensors(fixture(folder_ + "/expected.safetensors"));
  TokenBatch batch_ = fixture_batch(read_safetensors(fixture(folder_ + "/batch.safetensors")), "");

  std::vector<double> expected(const std::string& name) {
    return to_doubles(expected_.require(name));
  }
};

TEST_P(ModelFixture, LogitsAndLoss) {
  const NoGrad no_grad;
  const Tensor hidden =
      model_->decoder().hidden(batch_.tokens, make_context(batch_.tokens, {}, {})).value();
  const Tensor& head = model_->decoder().head().value();
  const Tensor logits = Tensor::empty({hidden.size(0), head.size(0)});
  kernels::gemm({.c = logits, .a = hidden, .b = head, .transpose_b = true});
  EXPECT_LT(relative_error(logits, expected("logits")), kForward);
  // The logits go the padded way, the loss the packed one.
  const Variable loss =
      batch_loss(*model_, make_model_batch(batch_, {}), static_cast<double>(batch_.valid_tokens));
  EXPECT_LT(relative_error(loss.value(), expected("loss")), kLoss);
}

TEST_P(ModelFixture, EveryGradient) {
  accumulate_gradients(*model_, batch_, {});
  for (const Parameter& parameter : model_->parameters().all()) {
    if (parameter.kind == ParameterKind::buffer) continue;
    ASSERT_TRUE(parameter.variable.has_grad()) << parameter.name;
    EXPECT_LT(relative_error(parameter.variable.grad(), expected("grad." + parameter.name)),
              kForward)
        << parameter.name;
  }
}

TEST_P(ModelFixture, GradientsOfRowByRowMicroBatchesAddUp) {
  accumulate_gradients(*model_, batch_, {.micro_batch = 1});
  for (const Parameter& parameter : model_->parameters().all()) {
    if (parameter.kind == ParameterKind::buffer) continue;
    EXPECT_LT(relative_error(parameter.variable.grad(), expected("grad." + parameter.name)),
              kForward)
        << parameter.name;
  }
}

TEST_P(ModelFixture, FiveStepsOfAdamW) {
  const auto adamw = fixture_json(folder_ + "/settings.json");
  const double rate = adamw.at("learning_rate");
  std::vector<OptimizedParameter> parameters;
  std::vector<std::vector<float>> before;
  for (const Parameter& parameter : model_->parameters().all()) {
    if (parameter.kind == ParameterKind::buffer) continue;
    const bool values = parameter.kind == ParameterKind::values;
    const bool decays = !values && parameter.variable.shape().dimensions() >= 2;
    parameters.push_back(
        {.name = parameter.name,
         .variable = parameter.variable,
         .rate_scale = values ? adamw.at("values_learning_rate").get<double>() / rate : 1.0,
         .weight_decay = decays ? adamw.at("weight_decay").get<double>() : 0.0,
         .clip_group = values ? 1 : 0});
    before.push_back(parameter.variable.value().to_vector<float>());
  }
  const auto optimizer = make_adamw(parameters,
                                    {.beta1 = adamw.at("betas").at(0),
                                     .beta2 = adamw.at("betas").at(1),
                                     .epsilon = adamw.at("eps")},
                                    adamw.at("clip_norm"));
  const std::vector<double> losses = expected("losses");
  for (std::size_t step = 0; step < 5; ++step) {
    optimizer->clear_gradients();
    const double loss = accumulate_gradients(*model_, batch_, {});
    EXPECT_LT(relative_error({loss}, at(losses, step)), kLoss) << "step " << step;
    optimizer->step(rate);
  }
  EXPECT_LT(relative_error({accumulate_gradients(*model_, batch_, {})}, at(losses, 5)), kLoss);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Tensor& value = parameters[i].variable.value();
    const std::string& name = parameters[i].name;
    EXPECT_LT(relative_error(value, expected("param5." + name)), kParameter) << name;
    EXPECT_LT(relative_error(difference(value, before[i]), expected("update5." + name)), kUpdate)
        << name;
  }
}

INSTANTIATE_TEST_SUITE_P(PyTorch, ModelFixture, ::testing::Values("gqa_tied", "two_memory_shared"),
                         [](const auto& fixture_case) { return std::string(fixture_case.param); });

class SparseFixture : public ::testing::TestWithParam<const char*> {};

TEST_P(SparseFixture, FiveSteps) {
  const std::string optimizer = GetParam(), folder = "smf_two_micro_batches";
  const auto settings = fixture_json(folder + "/settings.json");
  const TensorFile batches = read_safetensors(fixture(folder + "/batch.safetensors"));
  const TensorFile expected = read_safetensors(fixture(folder + "/expected.safetensors"));
  const TensorFile background = read_safetensors(fixture(folder + "/background.safetensors"));
  const TokenBatch pieces[] = {fixture_batch(batches, ".0"), fixture_batch(batches, ".1")};
  ASSERT_NE(pieces[0].valid_tokens, pieces[1].valid_tokens);
  const auto divisor = static_cast<double>(pieces[0].valid_tokens + pieces[1].valid_tokens);

  const auto model = fixture_model("two_memory_shared");
  model->parameters().freeze_all();
  const std::int64_t t = settings.at("trainable_slots");
  const std::vector<TableBackground> tables = {
      {background.require("df"), settings.at("num_batches").get<std::int64_t>()}};
  SparseStep sparse(*model, tf_idf_selector(tables, {}), t);
  const auto rows = optimizer == "adam" ? make_row_adam({}) : make_row_sgd();
  const Tensor& values = model->tables()[0].values.value();
  const std::vector<float> before = values.to_vector<float>();
  const std::vector<double> losses = to_doubles(expected.require(optimizer + ".losses"));

  for (int step = 0; step <= 5; ++step) {
    double loss = 0;
    for (const TokenBatch& piece : pieces) {
      const Variable part = batch_loss(*model, make_model_batch(piece, {}), divisor);
      loss += part.value().to_vector<float>()[0];
      backward(part);
    }
    EXPECT_LT(relative_error({loss}, at(losses, static_cast<std::size_t>(step))), kLoss) << step;
    if (step == 5) break;
    if (step == 0) {
      EXPECT_EQ(sparse.counter(0).counts().to_vector<std::int32_t>(),
                expected.require("counts").to_vector<std::int32_t>());
    }
    const RowGradient update = sparse.finish(step)[0];
    const std::string selected = fmt::format("{}.selected.{}", optimizer, step);
    ASSERT_EQ(update.rows.to_vector<std::int32_t>(),
              expected.require(selected).to_vector<std::int32_t>());
    if (step == 0) {
      EXPECT_LT(relative_error(update.gradient, to_doubles(expected.require("row_gradient"))),
                kForward);
    }
    rows->step(values, update, settings.at(optimizer).at("learning_rate"), 0.0);
  }
  EXPECT_LT(relative_error(values, to_doubles(expected.require(optimizer + ".values5"))),
            kParameter);
  EXPECT_LT(relative_error(difference(values, before),
                           to_doubles(expected.require(optimizer + ".update5"))),
            kUpdate);
}

INSTANTIATE_TEST_SUITE_P(PyTorch, SparseFixture, ::testing::Values("adam", "sgd"),
                         [](const auto& fixture_case) { return std::string(fixture_case.param); });

TEST(BatchNormFixture, TrainingModeOverValidRows) {
  const TensorFile in = read_safetensors(fixture("batch_norm/batch.safetensors"));
  const TensorFile expected = read_safetensors(fixture("batch_norm/expected.safetensors"));
  const Variable x(in.require("x"), true), gain(in.require("gain"), true),
      bias(in.require("bias"), true);
  const BatchNormState state{in.require("running_mean"), in.require("running_var")};
  std::vector<std::uint8_t> valid;
  for (const std::int32_t v : in.require("valid").span<std::int32_t>()) valid.push_back(v != 0);
  const auto count = static_cast<std::int64_t>(valid.size());
  const Variable y = batch_norm(x, gain, bias, state, Tensor::from(valid, {count}), true);
  std::vector<float> y_valid = y.value().to_vector<float>();
  const auto width = static_cast<std::size_t>(x.shape()[1]);
  for (std::size_t i = 0; i < y_valid.size(); ++i) {
    if (!valid[i / width]) y_valid[i] = 0;
  }
  EXPECT_LT(relative_error(Tensor::from(y_valid, x.shape()), to_doubles(expected.require("y"))),
            kForward);
  backward(y, in.require("dy"));
  EXPECT_LT(relative_error(x.grad(), to_doubles(expected.require("dx"))), kForward);
  EXPECT_LT(relative_error(gain.grad(), to_doubles(expected.require("dgain"))), kForward);
  EXPECT_LT(relative_error(bias.grad(), to_doubles(expected.require("dbias"))), kForward);
  EXPECT_LT(relative_error(state.running_mean, to_doubles(expected.require("running_mean"))),
            kForward);
  EXPECT_LT(relative_error(state.running_variance, to_doubles(expected.require("running_var"))),
            kForward);
}

}  // namespace
}  // namespace slotwise::testing
