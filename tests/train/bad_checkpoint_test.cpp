// Damaged, foreign and mismatched checkpoints and backgrounds are refused
// (tests/train/bad_input.h).
#include <cstdint>
#include <tuple>

#include "tests/train/bad_input.h"

namespace slotwise::testing {
namespace {

using BadCheckpoint = BadInput;

TEST_F(BadCheckpoint, Truncated) {
  truncate(checkpoint_ / "model.safetensors");
  checkpoint_refused({"model.safetensors does not match its checksum"});
  drop_checksums();
  checkpoint_refused({"model.safetensors", "points outside the file"});
  overwrite(checkpoint_ / "model.safetensors", "");
  checkpoint_refused({"model.safetensors is not a safetensors file"});
}

TEST_F(BadCheckpoint, OneFlippedByte) {
  flip_byte(checkpoint_ / "model.safetensors", 1000);
  checkpoint_refused({"model.safetensors does not match its checksum"});
}

TEST_F(BadCheckpoint, MissingFiles) {
  fs::remove(checkpoint_ / "model.safetensors");
  checkpoint_refused({"lacks", "model.safetensors"});
  drop_checksums();
  checkpoint_refused({"cannot read", "model.safetensors"});
  fs::remove(checkpoint_ / "tokenizer.json");
  checkpoint_refused({"cannot read", "tokenizer.json"});
  fs::remove(checkpoint_ / "config.json");
  checkpoint_refused({"there is no checkpoint at"});
}

TEST_F(BadCheckpoint, FolderOfTheRunInsteadOfItsCheckpoint) {
  const fs::path run = tiny_world().checkpoint.parent_path();
  refuses("inspect", {"--checkpoint", run}, {"give " + (run / "checkpoint").string()});
}

TEST_F(BadCheckpoint, ConfigThatIsNoConfig) {
  drop_checksums();
  for (const char* text : {"{\"hidden_size\": 16", "", "[1, 2]", "\xff\xfe"}) {
    overwrite(checkpoint_ / "config.json", text);
    checkpoint_refused({"config.json is not a JSON object"});
  }
  overwrite(checkpoint_ / "config.json", R"({"model_type": "llama"})");
  checkpoint_refused({"config.json", "vocab_size"});
}

TEST_F(BadCheckpoint, ConfigOfAnotherModel) {
  change_config([](json& config) { config["model_type"] = "gpt2"; });
  checkpoint_refused({"config.json", "model_type must be slotwise or llama, got 'gpt2'"});
}

TEST_F(BadCheckpoint, ConfigsThatDoNotFitTheTensors) {
  const std::string good = read_file(checkpoint_ / "config.json");
  const std::pair<const char*, json> changes[] = {
      {"hidden_size", 32},           {"vocab_size", 2000000000},
      {"num_hidden_layers", 4},      {"num_hidden_layers", 2000000000},
      {"intermediate_size", 999999}, {"tie_word_embeddings", "yes"},
      {"hidden_size", 1e30},         {"hidden_size", -16},
      {"hidden_size", "wide"},       {"num_attention_heads", 3},
      {"num_key_value_heads", 0},    {"head_dim", 2147483646},
      {"vocab_size", 9e15},          {"max_position_embeddings", 2000000000}};
  for (const auto& [key, value] : changes) {
    change_config([&](json& config) { config[key] = value; });
    checkpoint_refused({});
    overwrite(checkpoint_ / "config.json", good);
  }
  const std::pair<const char*, json> memory_changes[] = {
      {"sub_keys", 17},      {"sub_keys", 46340},
      {"slots", 255},        {"value_dim", 2000000000},
      {"layers", {9}},       {"layers", json({})},
      {"tables", json({})},  {"top_k", 99},
      {"key_dim", 7},        {"query_norm", "what"},
      {"layers", "middle"},  {"mode", 3},
      {"heads", 2000000000}, {"value_dtype", "float16"}};
  for (const auto& [key, value] : memory_changes) {
    change_config([&](json& config) {
      config["memory"].erase("slots");
      config["memory"][key] = value;
    });
    checkpoint_refused({});
    overwrite(checkpoint_ / "config.json", good);
  }
}

TEST_F(BadCheckpoint, MissingTensor) {
  change_tensors("model.safetensors", [](TensorFile& file) {
    std::erase_if(file.tensors, [](const NamedTensor& t) { return t.name == "model.norm.weight"; });
  });
  checkpoint_refused({"holds no tensor 'model.norm.weight'"});
}

TEST_F(BadCheckpoint, TensorOfAnotherShape) {
  change_tensors("model.safetensors", [](TensorFile& file) {
    for (NamedTensor& entry : file.tensors) {
      if (entry.name == "model.norm.weight") entry.tensor = Tensor::zeros({17});
    }
  });
  checkpoint_refused({"'model.norm.weight' is f32 [17], the config asks for f32 [16]"});
}

TEST_F(BadCheckpoint, WhatOtherModelsComputeBesides) {
  const std::string good = read_file(checkpoint_ / "config.json");
  const std::pair<const char*, json> changes[] = {
      {"hidden_act", "gelu"},
      {"attention_bias", true},
      {"mlp_bias", true},
      {"rope_scaling", {{"rope_type", "llama3"}, {"factor", 8.0}}},
      {"rope_scaling", {{"type", "linear"}, {"factor", 2.0}}},
      {"rope_parameters", {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}}},
      {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 123.0}}}};
  for (const auto& [key, value] : changes) {
    change_config([&](json& config) { config[key] = value; });
    checkpoint_refused({"config.json", key, "is not supported"});
    overwrite(checkpoint_ / "config.json", good);
  }
  change_config([](json& config) {
    config["rope_scaling"] = nullptr;
    config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", config["rope_theta"]}};
    config["hidden_act"] = "silu";
  });
  run_well("inspect", {"--checkpoint", checkpoint_});
}

TEST_F(BadCheckpoint, TensorWithoutAPlace) {
  const auto add = [&](const char* name) {
    change_tensors("model.safetensors", [&](TensorFile& file) {
      file.tensors.push_back({name, Tensor::zeros({16})});
    });
  };
  add("model.layers.0.self_attn.rotary_emb.inv_freq");
  run_well("inspect", {"--checkpoint", checkpoint_});
  add("model.layers.0.self_attn.q_proj.bias");
  checkpoint_refused({"has no tensor 'model.layers.0.self_attn.q_proj.bias'"});
}

TEST_F(BadCheckpoint, ForeignFile) {
  drop_checksums();
  write_safetensors(checkpoint_ / "model.safetensors", {{"something", Tensor::zeros({3})}});
  checkpoint_refused({"holds no tensor 'model.embed_tokens.weight'"});
}

TEST_F(BadCheckpoint, HeaderThatAsksForAllMemory) {
  drop_checksums();
  const auto with_header = [&](const std::string& header) {
    const std::uint64_t bytes = header.size();
    overwrite(checkpoint_ / "model.safetensors",
              std::string(reinterpret_cast<const char*>(&bytes), 8) + header);
  };
  with_header(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})");
  checkpoint_refused({"tensor 'a' has shape"});
  with_header(R"({"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4398046511104]}})");
  checkpoint_refused({"tensor 'a' points outside the file"});
  overwrite(checkpoint_ / "model.safetensors", std::string(8, '\x7f') + "{}");
  checkpoint_refused({"the header length does not fit"});
}

TEST_F(BadCheckpoint, TokenizerOfAnotherVocabulary) {
  drop_checksums();
  const TemporaryFolder other;
  run_well("prepare", {"--config", tiny_world().settings, "--set", "data.values=8", "--set",
                       "data.first_names=9", "--out", other / "more"});
  fs::copy_file(other / "more/tokenizer.json", checkpoint_ / "tokenizer.json",
                fs::copy_options::overwrite_existing);
  checkpoint_refused({"the tokenizer has", "they do not belong together"});
  overwrite(checkpoint_ / "tokenizer.json", "{}");
  checkpoint_refused({"tokenizer.json"});
  overwrite(checkpoint_ / "tokenizer.json", "{\"model\": {\"type\": \"Uni");
  checkpoint_refused({"tokenizer.json is not JSON"});
}

using BadBackground = BadInput;

TEST_F(BadBackground, Missing) {
  drop_checksums();
  fs::remove(checkpoint_ / "background.safetensors");
  refuses("finetune", world().finetune(out_, "smf"),
          {"--method smf needs", "make it with slotwise-background"});
}

TEST_F(BadBackground, OfAnotherModelOrTokenizer) {
  const auto replace = [&](const char* key, const std::string& value) {
    change_tensors("background.safetensors", [&](TensorFile& file) { file.metadata[key] = value; });
  };
  const std::string good = read_file(checkpoint_ / "background.safetensors");
  const std::tuple<const char*, std::string, const char*> changes[] = {
      {"lookup_hash", std::string(64, 'a'), "the background belongs to another model"},
      {"tokenizer_hash", std::string(64, 'a'), "taken with another tokenizer"},
      {"num_batches", "99999999999999", "'num_batches' must be a number"},
      {"num_batches", "3", "it is corrupted"},
      {"tables", "0", "'tables' must be a number"},
      {"tables", "2", "holds no tensor '0.df'"}};
  for (const auto& [key, value, phrase] : changes) {
    replace(key, value);
    refuses("finetune", world().finetune(out_, "smf"), {phrase});
    overwrite(checkpoint_ / "background.safetensors", good);
  }
}

TEST_F(BadBackground, Corrupted) {
  // A count that is still possible: only the digest can tell.
  change_tensors("background.safetensors", [](TensorFile& file) {
    std::int32_t& df = file.tensors[0].tensor.span<std::int32_t>()[3];
    df = df == 1 ? 2 : 1;
  });
  refuses("finetune", world().finetune(out_, "smf"),
          {"background.safetensors does not match its digest", "make a new background"});
  change_tensors("background.safetensors",
                 [](TensorFile& file) { file.tensors[0].tensor.span<std::int32_t>()[3] = -7; });
  refuses("finetune", world().finetune(out_, "smf"), {"df holds -7", "corrupted"});
  change_tensors("background.safetensors", [](TensorFile& file) {
    file.tensors[0].tensor = Tensor::zeros({9}, DType::i32);
    file.metadata.erase("digest");
  });
  refuses("finetune", world().finetune(out_, "smf"), {"the background counts 9 slots"});
}

}  // namespace
}  // namespace slotwise::testing
