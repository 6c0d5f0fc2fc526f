#include "data/tokenizer.h"

#include "core/error.h"
#include "core/files.h"
#include "core/json_reason.h"
#include "core/sha256.h"
#include "data/compressed_file.h"
#include "data/tokenizer_json.h"

namespace slotwise {

namespace {

// Old files leave model.type out; what has merges is a BPE.
std::string model_type(const nlohmann::json& document) {
  const nlohmann::json& model = document.at("model");
  if (model.contains("type")) return model["type"].get<std::string>();
  return model.contains("merges") ? "BPE" : "unnamed";
}

std::unique_ptr<Tokenizer> from_document(const nlohmann::json& document, std::string text) {
  if (document.contains("normalizer") && !document["normalizer"].is_null()) {
    user_error("the normalizer {} is not known here: use a tokenizer without a normalizer",
               document["normalizer"].value("type", "without a type"));
  }
  const std::string type = model_type(document);
  if (type == "WordLevel") return word_level_from_json(document, std::move(text));
  if (type == "BPE") return byte_level_bpe_from_json(document, std::move(text));
  user_error("the model type {} is not known here: expected WordLevel or BPE", type);
}

}  // namespace

std::string Tokenizer::hash() const {
  return Sha256().add(json_).hex();
}

void Tokenizer::save(const std::filesystem::path& path) const {
  write_file_atomically(path, json_);
}

std::unique_ptr<Tokenizer> tokenizer_from_json(std::string json, std::string_view name) {
  const nlohmann::json document = parse_json(json, name);
  try {
    return from_document(document, std::move(json));
  } catch (const UserError& error) {
    user_error("{}: {}", name, error.what());
  } catch (const nlohmann::json::exception& error) {
    user_error("{} is not laid out as a Hugging Face tokenizer.json ({}): fetch or write it again",
               name, json_reason(error));
  }
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& tokenizer_json) {
  return tokenizer_from_json(read_compressed_file(tokenizer_json), tokenizer_json.string());
}

}  // namespace slotwise
