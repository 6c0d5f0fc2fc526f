#include "train/model_config.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_reason.h"

namespace slotwise {
namespace {

using nlohmann::json;

constexpr double kMostStd = 1e6;         // of initial values
constexpr double kLeastEpsilon = 1e-30;  // below, a zero vector has no norm

template <class Enum>
struct Word {
  Enum value;
  const char* text;
};
constexpr Word<QueryNorm> kQueryNorms[] = {
    {QueryNorm::none, "none"}, {QueryNorm::rms, "rms"}, {QueryNorm::batch, "batch"}};
constexpr Word<KeyNorm> kKeyNorms[] = {{KeyNorm::none, "none"}, {KeyNorm::rms, "rms"}};
constexpr Word<MemoryMode> kModes[] = {{MemoryMode::replace, "replace"}, {MemoryMode::add, "add"}};

template <class Enum, std::size_t count>
Enum parse(const Word<Enum> (&words)[count], const char* field, const std::string& text) {
  std::string known;
  for (const auto& word : words) {
    if (text == word.text) return word.value;
    known += (known.empty() ? "" : ", ") + std::string(word.text);
  }
  user_error("memory config: {} must be one of {}, got '{}'", field, known, text);
}

template <class Enum, std::size_t count>
const char* print(const Word<Enum> (&words)[count], Enum value) {
  for (const auto& word : words) {
    if (word.value == value) return word.text;
  }
  return "?";
}

// A size in config.json: a whole number that fits into 31 bits, so that products of two fit
// into 64.
std::int64_t size_field(const json& object, const char* name) {
  const json& value = object.at(name);
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  if (!value.is_number_integer() || value < 0 || value > kMost) {
    user_error("'{}' must be a whole number from 0 to {}, got {}", name, kMost, value.dump());
  }
  return value.get<std::int64_t>();
}

std::int64_t size_field(const json& object, const char* name, std::int64_t otherwise) {
  return object.contains(name) ? size_field(object, name) : otherwise;
}

void expect_list(const json& list) {
  if (list.is_array()) return;
  user_error(
      "memory config: `memory.layers` must be a list of layer numbers and `memory.tables` a list "
      "of such lists, got {}",
      list.dump());
}

// nlohmann would cut 1.7 and read true as 1.
std::vector<std::int64_t> layer_list(const json& list) {
  expect_list(list);
  std::vector<std::int64_t> out;
  for (const json& layer : list) {
    if (!layer.is_number_integer()) {
      user_error("memory config: a layer must be a whole number, got {}", layer.dump());
    }
    out.push_back(layer.get<std::int64_t>());
  }
  return out;
}

std::vector<std::vector<std::int64_t>> table_lists(const json& list) {
  expect_list(list);
  std::vector<std::vector<std::int64_t>> out;
  for (const json& layers : list) out.push_back(layer_list(layers));
  return out;
}

MemoryConfig memory_from(const Options& options) {
  MemoryConfig memory;
  if (!options.has("memory")) return memory;
  memory.layers = layer_list(options.tree("memory.layers"));
  const json& tables = options.tree("memory.tables");
  if (!tables.is_null()) {
    memory.tables = table_lists(tables);
  } else if (!memory.layers.empty()) {
    memory.tables = {memory.layers};  // all layers share one table
  }
  memory.sub_keys = options.count("memory.sub_keys", 1);
  memory.heads = options.count("memory.heads", 1, memory.heads);
  memory.top_k = options.count("memory.top_k", 1, memory.top_k);
  memory.key_dim = options.count("memory.key_dim", 1);
  memory.value_dim = options.count("memory.value_dim", 1);
  memory.gate = options.flag("memory.gate", memory.gate);
  memory.query_norm = parse(kQueryNorms, "query_norm", options.text("memory.query_norm", "rms"));
  memory.key_norm = parse(kKeyNorms, "key_norm", options.text("memory.key_norm", "none"));
  memory.norm_gain = options.flag("memory.norm_gain", memory.norm_gain);
  memory.norm_eps = options.number_within("memory.norm_eps", kLeastEpsilon, 1.0, memory.norm_eps);
  memory.mode = parse(kModes, "mode", options.text("memory.mode", "replace"));
  memory.value_std = options.number_within("memory.value_std", 0.0, kMostStd, memory.value_std);
  memory.key_std = options.number_within("memory.key_std", 0.0, kMostStd, memory.key_std);
  memory.alpha = options.number("memory.alpha", memory.alpha);
  options.refuse_unread("memory");
  return memory;
}

json memory_json(const MemoryConfig& memory) {
  return {{"slots", memory.slots()},
          {"sub_keys", memory.sub_keys},
          {"heads", memory.heads},
          {"top_k", memory.top_k},
          {"key_dim", memory.key_dim},
          {"value_dim", memory.value_dim},
          {"value_dtype", "float32"},
          {"layers", memory.layers},
          {"tables", memory.tables},
          {"gate", memory.gate},
          {"query_norm", print(kQueryNorms, memory.query_norm)},
          {"key_norm", print(kKeyNorms, memory.key_norm)},
          {"norm_eps", memory.norm_eps},
          {"norm_gain", memory.norm_gain},
          {"mode", print(kModes, memory.mode)}};
}

MemoryConfig parse_memory(const json& j) {
  MemoryConfig memory;
  memory.sub_keys = size_field(j, "sub_keys");
  memory.heads = size_field(j, "heads");
  memory.top_k = size_field(j, "top_k");
  memory.key_dim = size_field(j, "key_dim");
  memory.value_dim = size_field(j, "value_dim");
  memory.layers = layer_list(j.at("layers"));
  memory.tables = table_lists(j.at("tables"));
  memory.gate = j.value("gate", true);
  memory.query_norm = parse(kQueryNorms, "query_norm", j.value("query_norm", "none"));
  memory.key_norm = parse(kKeyNorms, "key_norm", j.value("key_norm", "none"));
  memory.norm_eps = j.value("norm_eps", memory.norm_eps);
  memory.norm_gain = j.value("norm_gain", false);
  memory.mode = parse(kModes, "mode", j.value("mode", "replace"));
  if (j.contains("slots") && j.at("slots") != memory.slots()) {
    user_error("memory config: slots ({}) must be sub_keys squared ({})", j.at("slots").dump(),
               memory.slots());
  }
  const std::string dtype = j.value("value_dtype", "float32");
  if (dtype != "float32") {
    user_error("memory config: value_dtype '{}' is not supported; use float32", dtype);
  }
  return memory;
}

// What other Llama models compute and this one does not: ignored, it would give other numbers.
void refuse_unsupported(const json& j, DecoderConfig& decoder) {
  const auto only = [&](const char* key, const json& value) {
    const json found = j.value(key, value);
    if (found.is_null() || found == value) return;
    user_error("{} = {} is not supported; only {} is", key, found.dump(), value.dump());
  };
  if (j.value("hidden_act", json()) != "swish") only("hidden_act", "silu");  // one function
  only("attention_bias", false);
  only("mlp_bias", false);
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const json rope = j.value(key, json());
    if (rope.is_null()) continue;
    for (const auto& [name, value] : rope.items()) {
      const bool type = name == "rope_type" || name == "type";
      if (value.is_null() || (type && value == "default")) continue;
      if ((name == "factor" || name == "partial_rotary_factor") && value == 1) continue;
      if (name == "rope_theta" && (!j.contains(name) || j.at(name) == value)) {
        decoder.rope_theta = value.get<double>();
        continue;
      }
      user_error("{} with {} = {} is not supported; only the plain rotary embedding is", key, name,
                 value.dump());
    }
  }
}

void add_token_ids(json& out, const SpecialTokens& special) {
  const auto put = [&](const char* key, std::optional<int> id) {
    if (id) out[key] = *id;
  };
  put("bos_token_id", special.bos);
  put("eos_token_id", special.eos);
  put("pad_token_id", special.pad);
}

}  // namespace

ModelConfig model_config_from(const Options& options, std::int64_t vocabulary_size) {
  ModelConfig config;
  DecoderConfig& d = config.decoder;
  d.vocab_size = vocabulary_size;
  d.hidden_size = options.count("model.hidden_size", 1);
  d.num_hidden_layers = options.count("model.num_hidden_layers", 1);
  d.num_attention_heads = options.count("model.num_attention_heads", 1);
  d.num_key_value_heads = options.count("model.num_key_value_heads", 1, d.num_attention_heads);
  d.head_dim = options.count("model.head_dim", 0, 0);
  d.intermediate_size = options.count("model.intermediate_size", 1);
  d.max_position_embeddings =
      options.count("model.max_position_embeddings", 1, d.max_position_embeddings);
  d.rms_norm_eps = options.number("model.rms_norm_eps", d.rms_norm_eps);
  d.rope_theta = options.number("model.rope_theta", d.rope_theta);
  d.tie_word_embeddings = options.flag("model.tie_word_embeddings", d.tie_word_embeddings);
  d.qk_norm = options.flag("model.qk_norm", d.qk_norm);
  d.embedding_std = options.number_within("model.embedding_std", 0.0, kMostStd, d.embedding_std);
  options.refuse_unread("model");
  config.memory = memory_from(options);
  check(config.decoder);
  check(config.memory, config.decoder.num_hidden_layers);
  return config;
}

json config_json(const ModelConfig& config, const SpecialTokens& special) {
  const DecoderConfig& d = config.decoder;
  json out = {{"vocab_size", d.vocab_size},
              {"hidden_size", d.hidden_size},
              {"num_hidden_layers", d.num_hidden_layers},
              {"num_attention_heads", d.num_attention_heads},
              {"num_key_value_heads", d.num_key_value_heads},
              {"head_dim", d.head_size()},
              {"intermediate_size", d.intermediate_size},
              {"max_position_embeddings", d.max_position_embeddings},
              {"rms_norm_eps", d.rms_norm_eps},
              {"rope_theta", d.rope_theta},
              {"tie_word_embeddings", d.tie_word_embeddings},
              {"hidden_act", "silu"},
              {"attention_bias", false},
              {"mlp_bias", false},
              {"torch_dtype", "float32"}};
  if (d.qk_norm) out["qk_norm"] = true;
  if (config.memory.present() || d.qk_norm) {
    out["model_type"] = "slotwise";  // a plain Llama loader would invent what is missing
  } else {
    out["model_type"] = "llama";
    out["architectures"] = {"LlamaForCausalLM"};
  }
  if (config.memory.present()) out["memory"] = memory_json(config.memory);
  add_token_ids(out, special);
  return out;
}

ModelConfig parse_config_json(const json& j, const std::string& origin) {
  try {
    const std::string type = j.value("model_type", "");
    if (type != "slotwise" && type != "llama") {
      user_error("model_type must be slotwise or llama, got '{}'", type);
    }
    ModelConfig config;
    DecoderConfig& d = config.decoder;
    d.vocab_size = size_field(j, "vocab_size");
    d.hidden_size = size_field(j, "hidden_size");
    d.num_hidden_layers = size_field(j, "num_hidden_layers");
    d.num_attention_heads = size_field(j, "num_attention_heads");
    d.num_key_value_heads = size_field(j, "num_key_value_heads", d.num_attention_heads);
    d.head_dim = size_field(j, "head_dim", 0);
    d.intermediate_size = size_field(j, "intermediate_size");
    d.max_position_embeddings = size_field(j, "max_position_embeddings", d.max_position_embeddings);
    d.rms_norm_eps = j.value("rms_norm_eps", d.rms_norm_eps);
    d.rope_theta = j.value("rope_theta", d.rope_theta);
    d.tie_word_embeddings = j.value("tie_word_embeddings", false);
    d.qk_norm = j.value("qk_norm", false);
    refuse_unsupported(j, d);
    if (j.contains("memory")) config.memory = parse_memory(j.at("memory"));
    check(config.decoder);
    check(config.memory, d.num_hidden_layers);
    return config;
  } catch (const json::exception& e) {
    user_error("{} is not a model config that can be read ({}); copy the checkpoint again", origin,
               json_reason(e));
  } catch (const UserError& e) {
    user_error("{}: {}", origin, e.what());
  }
}

}  // namespace slotwise
