// The decoder as a whole: causality, padding, checkpointing, tied head, options, and LoRA on it.
#include "layers/decoder.h"

#include <gtest/gtest.h>

#include <cmath>

#include "layers/functional/language_model_loss.h"
#include "layers/low_rank.h"
#include "tests/data/temporary_folder.h"
#include "tests/kernels/memory_test_support.h"
#include "tests/layers/tiny_decoder.h"
#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

constexpr std::int64_t kVocabulary = 23;

Tensor tokens_of(std::int64_t rows, std::int64_t length, std::uint64_t seed) {
  return random_integers({rows, length}, seed, kVocabulary);
}

std::vector<DecoderConfig> variants() {
  std::vector<DecoderConfig> all(4, tiny_decoder_config());
  all[1].qk_norm = true;
  all[2].num_key_value_heads = 1;
  all[2].tie_word_embeddings = true;
  all[3].head_dim = 6;
  all[3].num_key_value_heads = 4;
  return all;
}

// Mean loss of next tokens, and the gradients of all parameters by its backward.
double train_step(TinyDecoder& model, const Tensor& tokens) {
  const Tensor targets = tokens_of(tokens.size(0), tokens.size(1), 77);
  targets.data<std::int32_t>()[1] = -1;
  const auto chosen = LossTargets::from(targets.view({targets.elements()}), {});
  const Variable hidden = model.decoder.hidden(tokens, make_context(tokens, {}, {}));
  const Variable loss = language_model_loss(hidden, model.decoder.head(), chosen,
                                            static_cast<double>(chosen.count()));
  backward(loss);
  return static_cast<double>(loss.value().data<float>()[0]);
}

TEST(Decoder, IsCausal) {
  for (const DecoderConfig& config : variants()) {
    TinyDecoder model(config);
    const Tensor tokens = tokens_of(2, 9, 1), changed = tokens.clone();
    std::int32_t& token = changed.data<std::int32_t>()[5];
    token = (token + 1) % kVocabulary;
    const Tensor before = model.hidden(tokens), after = model.hidden(changed);
    EXPECT_TRUE(equal_bits(before.slice(0, 5), after.slice(0, 5)));
    for (std::int64_t row = 5; row < 9; ++row) {
      EXPECT_FALSE(equal_bits(before.slice(row, row + 1), after.slice(row, row + 1))) << row;
    }
    EXPECT_TRUE(equal_bits(before.slice(9, 18), after.slice(9, 18)));  // the other sequence
  }
}

TEST(Decoder, RightPaddingChangesNoValidPosition) {
  TinyDecoder model;
  const Tensor tokens = tokens_of(1, 6, 2), padded = tokens_of(1, 10, 3);
  padded.view({10}).slice(0, 6).copy_from(tokens.view({6}));
  const Tensor valid = Tensor::from<std::uint8_t>({1, 1, 1, 1, 1, 1, 0, 0, 0, 0}, {10});
  EXPECT_LT(
      relative_error(model.hidden(padded, valid).slice(0, 6), to_doubles(model.hidden(tokens))),
      1e-6);
}

// A GPU takes the offsets as they are.
TEST(PackedRows, OffsetsAscendFromNothingToAllTokens) {
  const PackedRows packed = pack_rows({{5, 6, 7}, {}, {8}, {1, 2, 3, 4}}, {});
  EXPECT_EQ(packed.context.mask.offsets.to_vector<std::int32_t>(),
            (std::vector<std::int32_t>{0, 3, 3, 4, 8}));
  EXPECT_EQ(packed.context.mask.longest, 4);
  EXPECT_EQ(packed.context.positions.to_vector<std::int32_t>(),
            (std::vector<std::int32_t>{0, 1, 2, 0, 0, 1, 2, 3}));
  EXPECT_EQ(packed.tokens.to_vector<std::int32_t>(),
            (std::vector<std::int32_t>{5, 6, 7, 8, 1, 2, 3, 4}));
}

TEST(Decoder, PositionsMatter) {
  TinyDecoder model;
  const Tensor same = Tensor::from<std::int32_t>({5, 4, 4}, {1, 3});
  const Tensor hidden = model.hidden(same);
  EXPECT_GT(relative_error(hidden.slice(1, 2), to_doubles(hidden.slice(2, 3))), 1e-3);
}

TEST(Decoder, CheckpointingGivesTheSameGradients) {
  for (const DecoderConfig& config : variants()) {
    TinyDecoder plain(config), checkpointed(config);
    checkpointed.decoder.set_activation_checkpointing(true);
    const Tensor tokens = tokens_of(2, 7, 4);
    EXPECT_NEAR(train_step(plain, tokens), train_step(checkpointed, tokens), 1e-6);
    const auto& expected = plain.registry.all();
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const Parameter& actual = checkpointed.registry.all()[i];
      ASSERT_TRUE(actual.variable.has_grad()) << actual.name;
      EXPECT_LT(relative_error(actual.variable.grad(), to_doubles(expected[i].variable.grad())),
                1e-5)
          << actual.name;
    }
  }
}

TEST(Decoder, GradientsPointDownhill) {
  // Along its own gradient g, the loss falls by |g|^2 a unit of step: all parameters at once.
  for (const DecoderConfig& config : variants()) {
    TinyDecoder model(config);
    const Tensor tokens = tokens_of(2, 7, 5);
    train_step(model, tokens);
    double squares = 0.0;
    for (const Parameter& parameter : model.registry.all()) {
      for (const float g : parameter.variable.grad().span<float>()) {
        squares += static_cast<double>(g) * static_cast<double>(g);
      }
    }
    const auto loss_at = [&](double step) {
      TinyDecoder moved(config);
      for (std::size_t p = 0; p < model.registry.all().size(); ++p) {
        const auto gradient = model.registry.all()[p].variable.grad().span<float>();
        const auto value = moved.registry.all()[p].variable.value().span<float>();
        for (std::size_t i = 0; i < value.size(); ++i) {
          value[i] += static_cast<float>(step * static_cast<double>(gradient[i]));
        }
      }
      return train_step(moved, tokens);
    };
    const double step = 0.02 / std::sqrt(squares);
    const double slope = (loss_at(step) - loss_at(-step)) / (2.0 * step);
    EXPECT_NEAR(slope / squares, 1.0, 3e-3);
  }
}

TEST(Decoder, TiedHeadAddsBothGradients) {
  DecoderConfig config = tiny_decoder_config();
  TinyDecoder untied(config);
  config.tie_word_embeddings = true;
  TinyDecoder tied(config);
  EXPECT_EQ(tied.registry.find("lm_head.weight"), nullptr);
  const auto weight = [](TinyDecoder& model, const char* name) {
    return model.registry.find(name)->variable;
  };
  // The untied model with the embedding as its head computes the same function.
  weight(untied, "lm_head.weight")
      .value()
      .copy_from(weight(tied, "model.embed_tokens.weight").value());
  const Tensor tokens = tokens_of(2, 7, 6);
  EXPECT_NEAR(train_step(tied, tokens), train_step(untied, tokens), 1e-7);
  std::vector<double> both = to_doubles(weight(untied, "model.embed_tokens.weight").grad());
  const auto head = to_doubles(weight(untied, "lm_head.weight").grad());
  for (std::size_t i = 0; i < both.size(); ++i) both[i] += head[i];
  EXPECT_LT(relative_error(weight(tied, "model.embed_tokens.weight").grad(), both), 1e-6);
}

TEST(Decoder, RefusesImpossibleConfigsByField) {
  const auto refusal = [](auto change) {
    DecoderConfig config = tiny_decoder_config();
    change(config);
    return user_error_of([&] { check(config); });
  };
  using Config = DecoderConfig;
  const auto names = [](const std::string& text, const char* field) {
    EXPECT_TRUE(contains(text, field)) << text;
  };
  names(refusal([](Config& c) { c.vocab_size = 0; }), "vocab_size");
  names(refusal([](Config& c) { c.hidden_size = -1; }), "hidden_size");
  names(refusal([](Config& c) { c.num_hidden_layers = 0; }), "num_hidden_layers");
  names(refusal([](Config& c) { c.num_attention_heads = 0; }), "num_attention_heads");
  names(refusal([](Config& c) { c.num_key_value_heads = 3; }), "num_key_value_heads (3)");
  names(refusal([](Config& c) { c.num_key_value_heads = 0; }), "num_key_value_heads");
  names(refusal([](Config& c) { c.hidden_size = 18; }), "hidden_size (18)");
  names(refusal([](Config& c) { c.head_dim = 5; }), "head size");
  names(refusal([](Config& c) { c.head_dim = -4; }), "head_dim");
  names(refusal([](Config& c) { c.intermediate_size = 0; }), "intermediate_size");
  names(refusal([](Config& c) { c.max_position_embeddings = 0; }), "max_position_embeddings");
  names(refusal([](Config& c) { c.rms_norm_eps = 0; }), "rms_norm_eps");
  names(refusal([](Config& c) { c.rope_theta = std::nan(""); }), "rope_theta");
  EXPECT_NO_THROW(check(tiny_decoder_config()));
  TinyDecoder model;
  EXPECT_THROW(model.hidden(tokens_of(1, 49, 7)), Error);
}

TEST(ParameterRegistry, InitialValuesDependOnTheNameAlone) {
  ParameterRegistry first(5, {}), second(5, {}), other(6, {});
  first.create("early", {3}, ParameterKind::vector, Init::constant(2.0f));
  const Init normal = Init::normal(0.5), uniform = Init::uniform(0.25);
  const Tensor a = first.create("w", {8, 4}, ParameterKind::matrix, normal).value();
  const Tensor b = second.create("w", {8, 4}, ParameterKind::matrix, normal).value();
  const Tensor c = other.create("w", {8, 4}, ParameterKind::matrix, normal).value();
  EXPECT_TRUE(equal_bits(a, b));
  EXPECT_FALSE(equal_bits(a, c));
  const Variable bounded = second.create("u", {100}, ParameterKind::buffer, uniform);
  EXPECT_FALSE(bounded.requires_grad());
  for (const float x : bounded.value().span<float>()) EXPECT_LE(std::abs(x), 0.25f);
  EXPECT_EQ(first.count(), 35);
  EXPECT_EQ(second.count(), 32);  // buffers are no parameters
  EXPECT_THROW(first.create("w", {1}, ParameterKind::matrix, normal), Error);
  first.freeze_all();
  EXPECT_FALSE(first.find("w")->variable.requires_grad());
  EXPECT_EQ(first.find("absent"), nullptr);
}

class LowRankTest : public ::testing::Test {
 protected:
  std::unique_ptr<LowRankAdapters> adapt() {
    return std::make_unique<LowRankAdapters>(model_.decoder.linears(), LowRankConfig{3, 6.0}, 9,
                                             Device{});
  }
  static void stir(const LowRankAdapters& adapters) {
    for (const Parameter& parameter : adapters.parameters().all()) {
      fill_normal(parameter.variable.value(), 0.1f, Random(3, parameter.name));
    }
  }

  TinyDecoder model_;
  Tensor tokens_ = tokens_of(2, 8, 8);
  Tensor plain_ = model_.hidden(tokens_);
};

TEST_F(LowRankTest, ChangesNothingAtTheStart) {
  const auto adapters = adapt();
  EXPECT_EQ(adapters->parameters().all().size(), 2 * 14u);
  EXPECT_NE(adapters->parameters().find("model.layers.1.mlp.down_proj.lora_A.weight"), nullptr);
  EXPECT_TRUE(equal_bits(model_.hidden(tokens_), plain_));
}

TEST_F(LowRankTest, MergingEqualsRunningWithAdapters) {
  const auto adapters = adapt();
  stir(*adapters);
  const Tensor adapted = model_.hidden(tokens_);
  EXPECT_GT(relative_error(adapted, to_doubles(plain_)), 1e-2);
  EXPECT_THROW(adapters->unmerge(), Error);
  adapters->merge();
  EXPECT_THROW(adapters->merge(), Error);
  EXPECT_EQ(model_.decoder.linears()[0].adapter(), nullptr);
  EXPECT_LT(relative_error(model_.hidden(tokens_), to_doubles(adapted)), 1e-6);
  adapters->unmerge();
  EXPECT_NE(model_.decoder.linears()[0].adapter(), nullptr);
  EXPECT_LT(relative_error(model_.hidden(tokens_), to_doubles(adapted)), 1e-6);
}

TEST_F(LowRankTest, UnmergingRestoresTheWeights) {
  std::vector<Tensor> before;
  for (const Linear& linear : model_.decoder.linears()) {
    before.push_back(linear.weight().value().clone());
  }
  const auto adapters = adapt();
  stir(*adapters);
  adapters->merge();
  const auto linears = model_.decoder.linears();
  EXPECT_GT(relative_error(linears[0].weight().value(), to_doubles(before[0])), 1e-3);
  adapters->unmerge();
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_LT(relative_error(linears[i].weight().value(), to_doubles(before[i])), 1e-6);
  }
}

TEST_F(LowRankTest, TheDestructorTakesAdaptersOff) {
  {
    const auto adapters = adapt();
    stir(*adapters);
    EXPECT_FALSE(equal_bits(model_.hidden(tokens_), plain_));
  }
  EXPECT_TRUE(equal_bits(model_.hidden(tokens_), plain_));
}

TEST_F(LowRankTest, OnlyAdaptersGetGradientsOfAFrozenModel) {
  model_.registry.freeze_all();
  const auto adapters = adapt();
  stir(*adapters);
  train_step(model_, tokens_);
  for (const Parameter& parameter : adapters->parameters().all()) {
    EXPECT_TRUE(parameter.variable.has_grad()) << parameter.name;
  }
  for (const Parameter& parameter : model_.registry.all()) {
    EXPECT_FALSE(parameter.variable.has_grad()) << parameter.name;
  }
}

TEST_F(LowRankTest, RefusesARankOfNothing) {
  const LowRankConfig none{0, 1.0};
  EXPECT_TRUE(
      contains(user_error_of([&] { LowRankAdapters(model_.decoder.linears(), none, 1, Device{}); }),
               "rank"));
}

}  // namespace
}  // namespace slotwise::testing
