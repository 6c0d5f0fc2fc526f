// Generation with a cache against the plain forward, and the choice of tokens.
#include "layers/generation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/gemm.h"
#include "layers/token_sampler.h"
#include "tests/data/temporary_folder.h"
#include "tests/layers/tiny_decoder.h"

namespace slotwise::testing {
namespace {

using Row = std::vector<std::int32_t>;
using Rows = std::vector<Row>;

const Rows kPrompts = {{3, 1, 4, 1, 5}, {9}, {2, 6, 5, 3, 5, 8, 9, 7, 9}, {22, 0}};

// Greedy continuation by whole forwards: the highest logit, ties to the lower token.
Row greedy_without_cache(TinyDecoder& model, Row row, int count) {
  Row out;
  for (int i = 0; i < count; ++i) {
    const auto length = static_cast<std::int64_t>(row.size());
    const Tensor hidden = model.hidden(Tensor::from(row, {1, length}));
    const Tensor logits = Tensor::empty({1, 23});
    kernels::gemm({.c = logits,
                   .a = hidden.slice(length - 1, length),
                   .b = model.decoder.head().value(),
                   .transpose_b = true});
    const auto span = logits.span<float>();
    out.push_back(
        static_cast<std::int32_t>(std::max_element(span.begin(), span.end()) - span.begin()));
    row.push_back(out.back());
  }
  return out;
}

GenerationOptions options_of(std::int64_t count) {
  GenerationOptions options;
  options.max_new_tokens = count;
  return options;
}

TEST(Generation, CachedGreedyEqualsPlainForwards) {
  for (const bool qk_norm : {false, true}) {
    for (const std::int64_t kv_heads : {1, 2, 4}) {
      DecoderConfig config = tiny_decoder_config();
      config.qk_norm = qk_norm;
      config.num_key_value_heads = kv_heads;
      TinyDecoder model(config, 7);
      const Rows out = generate(model.decoder, kPrompts, options_of(12), {});
      for (std::size_t row = 0; row < kPrompts.size(); ++row) {
        EXPECT_EQ(out[row], greedy_without_cache(model, kPrompts[row], 12)) << row;
      }
    }
  }
}

TEST(Generation, ABatchGivesWhatEachPromptGivesAlone) {
  TinyDecoder model;
  const Rows together = generate(model.decoder, kPrompts, options_of(10), {});
  for (std::size_t row = 0; row < kPrompts.size(); ++row) {
    EXPECT_EQ(generate(model.decoder, {kPrompts[row]}, options_of(10), {})[0], together[row]);
    // One token is made without a cache.
    EXPECT_EQ(generate(model.decoder, {kPrompts[row]}, options_of(1), {})[0][0], together[row][0]);
  }
}

TEST(Generation, SamplingIsReproducibleBySeed) {
  TinyDecoder model;
  GenerationOptions options = options_of(15);
  options.temperature = 1.5;
  options.seed = 4;
  const Rows first = generate(model.decoder, kPrompts, options, {});
  EXPECT_EQ(generate(model.decoder, kPrompts, options, {}), first);
  options.seed = 5;
  EXPECT_NE(generate(model.decoder, kPrompts, options, {}), first);
}

TEST(Generation, ALaterBatchDrawsWhatItsRowsWouldInTheWholeList) {
  TinyDecoder model;
  GenerationOptions options = options_of(15);
  options.temperature = 1.5;
  const Rows whole = generate(model.decoder, kPrompts, options, {});
  options.first_row = 2;
  EXPECT_EQ(generate(model.decoder, {kPrompts[2], kPrompts[3]}, options, {}),
            (Rows{whole[2], whole[3]}));
}

TEST(Generation, NarrowSamplingIsGreedy) {
  TinyDecoder model;
  const Rows greedy = generate(model.decoder, kPrompts, options_of(8), {});
  GenerationOptions options = options_of(8);
  options.temperature = 2.0;
  EXPECT_NE(generate(model.decoder, kPrompts, options, {}), greedy);
  options.top_k = 1;
  EXPECT_EQ(generate(model.decoder, kPrompts, options, {}), greedy);
  options.top_k = 0;
  options.top_p = 1e-9;
  EXPECT_EQ(generate(model.decoder, kPrompts, options, {}), greedy);
}

TEST(Generation, AStopTokenEndsItsRow) {
  TinyDecoder model;
  const Rows free = generate(model.decoder, kPrompts, options_of(10), {});
  GenerationOptions options = options_of(10);
  options.stop_tokens = {free[0][3]};
  const Rows stopped = generate(model.decoder, kPrompts, options, {});
  bool some_end = false;
  for (std::size_t row = 0; row < free.size(); ++row) {
    const auto end = std::find(free[row].begin(), free[row].end(), free[0][3]);
    EXPECT_EQ(stopped[row], Row(free[row].begin(), end));
    some_end = some_end || end == free[row].end();
  }
  EXPECT_LE(stopped[0].size(), 3u);
  EXPECT_TRUE(some_end) << "every row held the stop token, so none shows that it may run on";
}

TEST(Generation, OnlyTokensOfTheVocabularyAreChosen) {
  TinyDecoder model;
  GenerationOptions options = options_of(10);
  std::int32_t most = 0;
  for (const Row& row : generate(model.decoder, kPrompts, options, {})) {
    most = std::max(most, *std::max_element(row.begin(), row.end()));
  }
  options.vocabulary = most;
  for (const double temperature : {0.0, 5.0}) {
    options.temperature = temperature;
    for (const Row& row : generate(model.decoder, kPrompts, options, {})) {
      for (const std::int32_t token : row) EXPECT_LT(token, most);
    }
  }
}

TEST(Generation, ALastTokenEndsItsRowAndIsReturned) {
  TinyDecoder model;
  const Rows free = generate(model.decoder, kPrompts, options_of(10), {});
  GenerationOptions options = options_of(10);
  options.last_tokens = {free[0][3], free[0][5]};
  const Rows ended = generate(model.decoder, kPrompts, options, {});
  for (std::size_t row = 0; row < free.size(); ++row) {
    auto end = std::find_first_of(free[row].begin(), free[row].end(), options.last_tokens.begin(),
                                  options.last_tokens.end());
    if (end != free[row].end()) ++end;
    EXPECT_EQ(ended[row], Row(free[row].begin(), end));
  }
  EXPECT_LE(ended[0].size(), 4u);
}

TEST(Generation, RefusesWhatCannotBeGenerated) {
  TinyDecoder model;
  EXPECT_THROW(generate(model.decoder, {{1}, {}}, options_of(2), {}), UserError);
  EXPECT_THROW(generate(model.decoder, {{1}}, options_of(49), {}), UserError);
  EXPECT_EQ(generate(model.decoder, {{1}}, options_of(48), {})[0].size(), 48u);
  EXPECT_EQ(generate(model.decoder, {{1}, {2}}, options_of(0), {}), Rows(2));
  EXPECT_TRUE(generate(model.decoder, {}, options_of(5), {}).empty());
  GenerationOptions options = options_of(2);
  options.top_p = 0.0;
  EXPECT_TRUE(
      contains(user_error_of([&] { generate(model.decoder, {{1}}, options, {}); }), "top-p"));
}

// Shares of the tokens over many draws.
std::vector<double> shares(const GenerationOptions& options, const std::vector<float>& logits) {
  constexpr int kDraws = 20000;
  const TokenSampler sampler(options);
  std::vector<double> share(logits.size(), 0.0);
  for (int row = 0; row < kDraws / 10; ++row) {
    for (int i = 0; i < 10; ++i) {
      share[static_cast<std::size_t>(sampler.choose(logits, row, i))] += 1.0 / kDraws;
    }
  }
  return share;
}

TEST(TokenSampler, DrawsInProportion) {
  const std::vector<float> logits = {std::log(4.0f), std::log(1.0f), std::log(3.0f),
                                     std::log(2.0f)};
  GenerationOptions options = options_of(10);
  options.temperature = 1.0;
  const auto expect = [&](const std::vector<double>& expected) {
    const auto actual = shares(options, logits);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(actual[i], expected[i], expected[i] == 0.0 ? 0.0 : 0.015) << i;
    }
  };
  expect({0.4, 0.1, 0.3, 0.2});
  options.temperature = 0.5;
  expect({16.0 / 30, 1.0 / 30, 9.0 / 30, 4.0 / 30});
  options.temperature = 1.0;
  options.top_k = 3;
  expect({4.0 / 9, 0.0, 3.0 / 9, 2.0 / 9});
  options.top_k = 0;
  options.top_p = 0.6;  // 0.4 is not enough, 0.4 + 0.3 is
  expect({4.0 / 7, 0.0, 3.0 / 7, 0.0});
}

TEST(TokenSampler, TiesGoToTheLowerToken) {
  GenerationOptions options = options_of(1);
  const std::vector<float> logits = {0.0f, 2.0f, 2.0f, 1.0f};
  EXPECT_EQ(TokenSampler(options).choose(logits, 0, 0), 1);
  options.temperature = 1.0;
  options.top_k = 1;
  EXPECT_EQ(TokenSampler(options).choose(logits, 0, 0), 1);
}

}  // namespace
}  // namespace slotwise::testing
