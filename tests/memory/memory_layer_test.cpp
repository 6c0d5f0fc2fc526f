// The memory layer against a plain double-precision reference: values and all gradients, in every
// mode. Which slots are read is taken from the layer; all else is computed anew.
#include "memory/memory_layer.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/data/temporary_folder.h"
#include "tests/kernels/memory_test_support.h"
#include "tests/layers/double_reference.h"
#include "tests/memory/tiny_memory_model.h"

namespace slotwise::testing {
namespace {

constexpr std::int64_t M = 5, C = 6, H = 2, n = 3, k = 2, kHalf = 3, D = 4;
const std::vector<std::uint8_t> kValid = {1, 1, 0, 1, 1};

MemoryConfig config_of(MemoryMode mode, bool gate, QueryNorm query_norm, KeyNorm key_norm,
                       bool norm_gain) {
  MemoryConfig config;
  config.sub_keys = n;
  config.heads = H;
  config.top_k = k;
  config.key_dim = 2 * kHalf;
  config.value_dim = D;
  config.layers = {0};
  config.tables = {{0}};
  config.value_std = 1.0;
  config.alpha = 0.7;
  config.mode = mode;
  config.gate = gate;
  config.query_norm = query_norm;
  config.key_norm = key_norm;
  config.norm_gain = norm_gain;
  config.norm_eps = 1e-3;
  return config;
}

using Named = std::map<std::string, Doubles1>;

// Mean and variance of valid rows, feature by feature (Ioffe & Szegedy 2015).
Doubles1 batch_normed(Doubles1 x, const Doubles1& gain, const Doubles1& bias) {
  const std::size_t features = gain.size();
  for (std::size_t f = 0; f < features; ++f) {
    double mean = 0.0, variance = 0.0, count = 0.0;
    for (std::size_t row = 0; row < kValid.size(); ++row) {
      mean += kValid[row] * x[row * features + f];
      count += kValid[row];
    }
    mean /= count;
    for (std::size_t row = 0; row < kValid.size(); ++row) {
      variance += kValid[row] * std::pow(x[row * features + f] - mean, 2) / count;
    }
    for (std::size_t row = 0; row < kValid.size(); ++row) {
      double& value = x[row * features + f];
      value = (value - mean) / std::sqrt(variance + 1e-5) * gain[f] + bias[f];
    }
  }
  return x;
}

struct Case {
  MemoryConfig config;
  DecoderConfig decoder;
  ParameterRegistry registry{3, {}};
  std::shared_ptr<MemoryHooks> hooks = std::make_shared<MemoryHooks>();
  std::unique_ptr<MemoryLayer> layer;
  Variable x{random_normal({M, C}, 1), true};
  ForwardContext context;
  std::vector<std::int32_t> slots;
  Tensor weights;
  Named doubles;

  explicit Case(const MemoryConfig& memory) : config(memory) {
    decoder.hidden_size = C;
    decoder.intermediate_size = 5;
    decoder.num_hidden_layers = 1;
    const ValueTable table = make_value_table(registry, config, 0);
    std::unique_ptr<FeedForward> dense;
    if (config.mode == MemoryMode::add) {
      dense = std::make_unique<SwigluFeedForward>(registry, "mlp.", decoder);
    }
    layer = std::make_unique<MemoryLayer>(registry, "memory.", config, decoder, table, hooks,
                                          std::move(dense));
    for (const Parameter& parameter : registry.all()) {
      // Gains and biases away from 1 and 0, where they would hide errors.
      if (parameter.kind == ParameterKind::vector && parameter.name != "memory.alpha") {
        const Tensor value = parameter.variable.value();
        const Tensor noise = random_normal(value.shape(), stream_id(parameter.name), 0.3f);
        for (std::int64_t i = 0; i < value.elements(); ++i) {
          value.data<float>()[i] += noise.data<float>()[i];
        }
      }
      doubles[parameter.name] = to_doubles(parameter.variable.value());
    }
    doubles["x"] = to_doubles(x.value());
    hooks->on_access = [this](const Access& access) {
      slots = access.slots.to_vector<std::int32_t>();
      weights = access.weights;
    };
    context.batch = 1;
    context.length = M;
    context.valid = Tensor::from(kValid, {M});
    context.training = true;
  }

  Doubles1 queries() {
    Named& d = doubles;
    Doubles1 query = times_transposed(d["x"], d["memory.query.weight"], C);
    const double epsilon = config.norm_eps;
    if (config.query_norm == QueryNorm::rms) {
      query = rms_normed(query, d["memory.query_norm.weight"], kHalf, epsilon);
    }
    if (config.query_norm == QueryNorm::batch) {
      query = batch_normed(query, d["memory.query_batch_norm.weight"],
                           d["memory.query_batch_norm.bias"]);
    }
    return query;
  }

  Doubles1 keys() {
    Doubles1 raw = doubles["memory.keys"];
    if (config.key_norm == KeyNorm::none) return raw;
    return rms_normed(raw, doubles["memory.key_norm.weight"], kHalf, config.norm_eps);
  }

  double score(const Doubles1& query, const Doubles1& key, std::int64_t m, std::int64_t head,
               std::int64_t slot) const {
    double sum = 0.0;
    for (std::int64_t i = 0; i < kHalf; ++i) {
      const std::int64_t q = ((m * H + head) * 2) * kHalf + i, base = head * 2 * n;
      sum += query[at(q)] * key[at((base + slot / n) * kHalf + i)];
      sum += query[at(q + kHalf)] * key[at((base + n + slot % n) * kHalf + i)];
    }
    return sum;
  }

  Doubles1 slot_weights() {
    const Doubles1 query = queries(), key = keys();
    Doubles1 out;
    for (std::int64_t row = 0; row < M * H; ++row) {
      double total = 0.0;
      for (std::int64_t j = 0; j < k; ++j) {
        out.push_back(std::exp(score(query, key, row / H, row % H, slots[at(row * k + j)])));
        total += out.back();
      }
      for (std::int64_t j = 0; j < k; ++j) out[at(row * k + j)] /= total;
    }
    return out;
  }

  Doubles1 reference() {
    Named& d = doubles;
    const Doubles1 weight = slot_weights();
    Doubles1 y(at(M * D), 0.0);
    for (std::int64_t access = 0; access < M * H * k; ++access) {
      for (std::int64_t i = 0; i < D; ++i) {
        y[at(access / (H * k) * D + i)] +=
            weight[at(access)] * d["model.memory.values"][at(slots[at(access)] * D + i)];
      }
    }
    if (config.gate) y = gated(times_transposed(d["x"], d["memory.gate.weight"], C), y);
    const Doubles1 out = times_transposed(y, d["memory.output.weight"], D);
    return config.mode == MemoryMode::add ? plus(dense(), out, d["memory.alpha"][0]) : out;
  }

  Doubles1 dense() {
    Named& d = doubles;
    const Doubles1 gate = times_transposed(d["x"], d["mlp.gate_proj.weight"], C);
    const Doubles1 up = times_transposed(d["x"], d["mlp.up_proj.weight"], C);
    return times_transposed(gated(gate, up), d["mlp.down_proj.weight"], 5);
  }
};

std::vector<MemoryConfig> all_configs() {
  std::vector<MemoryConfig> all;
  for (const MemoryMode mode : {MemoryMode::replace, MemoryMode::add}) {
    for (const bool gate : {true, false}) {
      for (const QueryNorm query_norm : {QueryNorm::none, QueryNorm::rms, QueryNorm::batch}) {
        for (const KeyNorm key_norm : {KeyNorm::none, KeyNorm::rms}) {
          all.push_back(config_of(mode, gate, query_norm, key_norm, key_norm == KeyNorm::rms));
        }
      }
    }
  }
  return all;
}

std::string text_of(const MemoryConfig& config) {
  return fmt::format("mode {} gate {} query norm {} key norm {} gain {}",
                     static_cast<int>(config.mode), config.gate,
                     static_cast<int>(config.query_norm), static_cast<int>(config.key_norm),
                     config.norm_gain);
}

TEST(MemoryLayer, ValuesAndGradientsInEveryMode) {
  for (const MemoryConfig& config : all_configs()) {
    SCOPED_TRACE(text_of(config));
    Case c(config);
    const Variable y = c.layer->forward(c.x, c.context);
    EXPECT_LT(relative_error(c.weights, c.slot_weights()), 5e-6);
    EXPECT_LT(relative_error(y.value(), c.reference()), 5e-6);
    const Tensor seed = random_normal({M, C}, 2);
    const Doubles1 seed_doubles = to_doubles(seed);
    backward(y, seed.clone());
    const auto loss = [&] { return dot(c.reference(), seed_doubles); };
    EXPECT_LT(relative_error(c.x.grad(), differences(c.doubles["x"], loss)), 5e-5);
    for (const Parameter& parameter : c.registry.all()) {
      if (parameter.kind == ParameterKind::buffer) continue;
      ASSERT_TRUE(parameter.variable.has_grad()) << parameter.name;
      EXPECT_LT(
          relative_error(parameter.variable.grad(), differences(c.doubles[parameter.name], loss)),
          5e-5)
          << parameter.name;
    }
  }
}

TEST(MemoryLayer, ReadsTheBestSlots) {
  for (const MemoryConfig& config : all_configs()) {
    Case c(config);
    c.layer->forward(c.x, c.context);
    const Doubles1 query = c.queries(), key = c.keys();
    for (std::int64_t row = 0; row < M * H; ++row) {
      std::vector<std::pair<double, std::int64_t>> ranked;
      for (std::int64_t slot = 0; slot < n * n; ++slot) {
        ranked.emplace_back(-c.score(query, key, row / H, row % H, slot), slot);
      }
      std::sort(ranked.begin(), ranked.end());
      for (std::int64_t j = 0; j < k; ++j) {
        EXPECT_EQ(c.slots[at(row * k + j)], ranked[at(j)].second) << text_of(config);
      }
    }
  }
}

TEST(MemoryLayer, SwitchedOffItAddsNothing) {
  for (const MemoryMode mode : {MemoryMode::replace, MemoryMode::add}) {
    Case c(config_of(mode, true, QueryNorm::rms, KeyNorm::none, false));
    c.hooks->disabled = true;
    const Tensor y = c.layer->forward(c.x, c.context).value();
    EXPECT_TRUE(c.slots.empty());  // nothing was read
    const bool replace = mode == MemoryMode::replace;
    EXPECT_LT(relative_error(y, replace ? Doubles1(at(M * C), 0.0) : c.dense()), 5e-6);
    EXPECT_EQ(c.layer->linears().size(), replace ? 0u : 3u);
  }
}

TEST(MemoryLayer, RunningStatisticsAreUsedOutsideTraining) {
  Case c(config_of(MemoryMode::replace, true, QueryNorm::batch, KeyNorm::none, false));
  c.context.training = false;
  const Tensor before = c.layer->forward(c.x, c.context).value();
  c.context.valid = {};
  EXPECT_TRUE(equal_bits(c.layer->forward(c.x, c.context).value(), before));
  c.context.training = true;
  c.layer->forward(c.x, c.context);
  c.context.training = false;
  EXPECT_FALSE(equal_bits(c.layer->forward(c.x, c.context).value(), before));
}

TEST(MemoryModel, NamesItsParameters) {
  const MemoryModel one(tiny_memory_config(), 1, {});
  EXPECT_EQ(parameter_of(one, "model.memory.values").shape(), (Shape{36, 10}));
  EXPECT_EQ(parameter_of(one, "model.layers.1.memory.keys").shape(), (Shape{2, 2, 6, 4}));
  EXPECT_EQ(one.parameters().find("model.layers.1.mlp.up_proj.weight"), nullptr);
  EXPECT_NE(one.parameters().find("model.layers.2.mlp.up_proj.weight"), nullptr);
  EXPECT_EQ(one.parameters().find("model.layers.1.memory.alpha"), nullptr);

  ModelConfig config = tiny_memory_config({0, 1, 2}, {{0, 2}, {1}});
  config.memory.mode = MemoryMode::add;
  const MemoryModel many(config, 1, {});
  EXPECT_EQ(many.tables().size(), 2u);
  EXPECT_EQ(config.memory.table_of(2), 0);
  EXPECT_EQ(config.memory.table_of(1), 1);
  EXPECT_EQ(config.memory.table_of(7), -1);
  EXPECT_EQ(parameter_of(many, "model.memory.1.values").shape(), (Shape{36, 10}));
  EXPECT_NE(many.parameters().find("model.layers.1.mlp.up_proj.weight"), nullptr);
  EXPECT_NE(many.parameters().find("model.layers.1.memory.alpha"), nullptr);
}

TEST(MemoryModel, WithoutMemoryItIsAPlainDecoder) {
  ModelConfig config = tiny_memory_config({}, {});
  config.memory = {};
  MemoryModel model(config, 1, {});
  TinyDecoder plain(config.decoder);
  const Tensor tokens = tiny_tokens(2, 5, 1);
  const NoGrad no_grad;
  EXPECT_TRUE(equal_bits(model.decoder().hidden(tokens, make_context(tokens, {}, {})).value(),
                         plain.hidden(tokens)));
  EXPECT_TRUE(model.tables().empty());
}

TEST(MemoryConfig, RefusesImpossibleOnesByField) {
  const auto expect = [](const char* field, auto change) {
    MemoryConfig config = tiny_memory_config({0, 2}, {{0}, {2}}).memory;
    change(config);
    const std::string text = user_error_of([&] { check(config, 3); });
    EXPECT_TRUE(contains(text, field)) << text;
  };
  using Config = MemoryConfig;
  expect("sub_keys", [](Config& c) { c.sub_keys = 0; });
  expect("sub_keys", [](Config& c) { c.sub_keys = 46341; });
  expect("heads", [](Config& c) { c.heads = 0; });
  expect("top_k", [](Config& c) { c.top_k = 0; });
  expect("top_k (7)", [](Config& c) { c.top_k = 7; });
  expect("key_dim", [](Config& c) { c.key_dim = 7; });
  expect("value_dim", [](Config& c) { c.value_dim = -1; });
  expect("ascending", [](Config& c) { c.layers = {2, 0}; });
  expect("ascending", [](Config& c) { c.layers = {0, 0}; });
  expect("layer 3", [](Config& c) { c.layers = {0, 3}; });
  expect("layer -1", [](Config& c) { c.layers = {-1, 2}; });
  expect("tables", [](Config& c) { c.tables = {{0}}; });
  expect("tables", [](Config& c) { c.tables = {{0}, {2}, {2}}; });
  expect("tables", [](Config& c) { c.tables = {{0}, {1}}; });
  EXPECT_NO_THROW(check(tiny_memory_config({0, 2}, {{0, 2}}).memory, 3));
  EXPECT_NO_THROW(check(MemoryConfig{}, 3));
}

}  // namespace
}  // namespace slotwise::testing
