#include "bench/step_shapes.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/files.h"
#include "core/random.h"
#include "core/safetensors.h"
#include "data/dataset.h"
#include "data/fact_stream.h"
#include "data/tokenizer.h"
#include "layers/low_rank.h"
#include "train/model_config.h"

namespace slotwise::bench {
namespace {

constexpr int kBatches = 4;  // distinct ones, used in turn
constexpr std::int64_t kBackgroundBatches = 500;

constexpr const char* kWide = R"({
  "model": {"hidden_size": 512, "num_hidden_layers": 8, "num_attention_heads": 8,
            "num_key_value_heads": 8, "intermediate_size": 1376, "max_position_embeddings": 128},
  "memory": {"layers": [4], "sub_keys": 512, "heads": 4, "top_k": 32, "key_dim": 128,
             "value_dim": 512, "query_norm": "rms", "value_std": 0.02}})";

constexpr const char* kGpt2 = R"({
  "model": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
            "num_key_value_heads": 12, "intermediate_size": 2048, "tie_word_embeddings": true,
            "max_position_embeddings": 1024}})";

constexpr const char* kPaper = R"({
  "model": {"hidden_size": 2048, "num_hidden_layers": 22, "num_attention_heads": 32,
            "num_key_value_heads": 8, "intermediate_size": 5632, "tie_word_embeddings": true,
            "max_position_embeddings": 1024},
  "memory": {"layers": [12], "sub_keys": 1024, "heads": 4, "top_k": 32, "key_dim": 1024,
             "value_dim": 1024, "query_norm": "rms", "value_std": 0.02}})";

// To try the programs with: a second on one core.
constexpr const char* kTiny = R"({
  "model": {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
            "num_key_value_heads": 2, "intermediate_size": 64, "tie_word_embeddings": true,
            "max_position_embeddings": 16},
  "memory": {"layers": [1], "sub_keys": 16, "heads": 2, "top_k": 4, "key_dim": 16,
             "value_dim": 32, "query_norm": "rms", "value_std": 0.02}})";

constexpr const char* kTinyDense = R"({
  "model": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 4, "intermediate_size": 64, "tie_word_embeddings": true,
            "max_position_embeddings": 16}})";

struct DrawnShape {
  const char* name;
  const char* settings;
  std::int64_t vocabulary;
  int rows, length;
};
constexpr DrawnShape kDrawn[] = {{"d512", kWide, 8192, 36, 64},
                                 {"gpt2", kGpt2, 50257, 8, 1024},
                                 {"paper", kPaper, 50257, 4, 1024},
                                 {"tiny", kTiny, 128, 4, 16},
                                 {"tiny_dense", kTinyDense, 128, 4, 16}};

std::vector<std::int32_t> zipf_sequence(const Random& random, std::uint64_t first, int length,
                                        std::int64_t vocabulary) {
  std::vector<std::int32_t> out;
  for (int i = 0; i < length; ++i) {
    // exp(u * ln V) has density 1 / x: the law of words in text.
    const double u = random.uniform_at(first + static_cast<std::uint64_t>(i));
    const double rank = std::exp(u * std::log(static_cast<double>(vocabulary)));
    out.push_back(static_cast<std::int32_t>(std::min<double>(rank, double(vocabulary))) - 1);
  }
  return out;
}

std::vector<TokenBatch> zipf_batches(const std::string& stream, const StepShape& shape) {
  const int length = shape.length + 1;
  const Random random(0, stream);
  std::vector<TokenBatch> out;
  for (int b = 0; b < kBatches; ++b) {
    std::vector<std::vector<std::int32_t>> rows;
    for (int row = 0; row < shape.rows; ++row) {
      const auto first = static_cast<std::uint64_t>((b * shape.rows + row) * length);
      rows.push_back(zipf_sequence(random, first, length, shape.vocabulary));
    }
    out.push_back(make_batch(rows, 0));
  }
  return out;
}

// Any background does: its values decide which rows are chosen, not how long a step takes.
Tensor some_background(std::int64_t slots) {
  const Random random(0, "background");
  std::vector<std::int32_t> df;
  for (std::int64_t slot = 0; slot < slots; ++slot) {
    const double u = random.uniform_at(static_cast<std::uint64_t>(slot));
    df.push_back(static_cast<std::int32_t>(std::pow(u, 4.0) * kBackgroundBatches));
  }
  return Tensor::from(df, {slots});
}

void append(std::vector<NamedTensor>& out, const std::string& stage,
            const std::vector<TokenBatch>& batches) {
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const std::string prefix = fmt::format("{}.{}.", stage, i);
    out.push_back({prefix + "tokens", batches[i].tokens});
    out.push_back({prefix + "targets", batches[i].targets});
  }
}

std::vector<TokenBatch> batches_of(const TensorFile& file, const std::string& stage) {
  std::vector<TokenBatch> out;
  for (int i = 0; i < kBatches; ++i) {
    const std::string prefix = fmt::format("{}.{}.", stage, i);
    TokenBatch batch{file.require(prefix + "tokens"), file.require(prefix + "targets"), 0};
    for (const std::int32_t target : batch.targets.to_vector<std::int32_t>()) {
      batch.valid_tokens += target >= 0 ? 1 : 0;
    }
    out.push_back(std::move(batch));
  }
  return out;
}

}  // namespace

StepShape step_shape(const std::string& name, const std::filesystem::path& dataset) {
  if (name == "biographies") {
    return {name, Options::from_preset("biographies"),
            Dataset(dataset).tokenizer().vocabulary_size()};
  }
  for (const DrawnShape& drawn : kDrawn) {
    if (name != drawn.name) continue;
    return {name, Options::from_json(nlohmann::json::parse(drawn.settings)), drawn.vocabulary,
            drawn.rows, drawn.length};
  }
  user_error("--shape must be biographies, d512, gpt2, paper, tiny or tiny_dense, got '{}'", name);
}

StepInputs make_step_inputs(const StepShape& shape, const std::filesystem::path& dataset) {
  const ModelConfig config = model_config_from(shape.options, shape.vocabulary);
  StepInputs out{{}, {}, some_background(config.memory.slots()), kBackgroundBatches};
  if (shape.name != "biographies") {
    out.pretrain = zipf_batches("pretrain", shape);
    out.finetune = zipf_batches("finetune", shape);
    return out;
  }
  const Dataset data(dataset);
  const MixtureLoader loader(data.parts(), {.pad_id = data.tokenizer().special().pad.value_or(0)});
  const FactStream stream(read_facts(data.facts_path()), data.tokenizer(), {});
  for (int i = 0; i < kBatches; ++i) {
    out.pretrain.push_back(loader.batch(i, 128));
    out.finetune.push_back(stream.batch(i));
  }
  return out;
}

void write_step_files(const StepShape& shape, const StepInputs& inputs,
                      const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  const ModelConfig config = model_config_from(shape.options, shape.vocabulary);
  MemoryModel model(config, 0, {});
  std::vector<NamedTensor> weights, adapters;
  for (const Parameter& parameter : model.parameters().all()) {
    weights.push_back({parameter.name, parameter.variable.value()});
  }
  const LowRankAdapters low_rank(model.decoder().linears(),
                                 {shape.rank, 2.0 * static_cast<double>(shape.rank)}, 0, {});
  for (const Parameter& parameter : low_rank.parameters().all()) {
    adapters.push_back({parameter.name, parameter.variable.value()});
  }
  std::vector<NamedTensor> tensors{{"df", inputs.df}};
  append(tensors, "pretrain", inputs.pretrain);
  append(tensors, "finetune", inputs.finetune);
  write_file_atomically(folder / "config.json", config_json(config, {}).dump(2));
  write_safetensors(folder / "model.safetensors", weights);
  write_safetensors(folder / "adapters.safetensors", adapters);
  write_safetensors(folder / "inputs.safetensors", tensors);
}

StepInputs read_step_inputs(const std::filesystem::path& folder) {
  const TensorFile file = read_safetensors(folder / "inputs.safetensors");
  return {batches_of(file, "pretrain"), batches_of(file, "finetune"), file.require("df"),
          kBackgroundBatches};
}

}  // namespace slotwise::bench
