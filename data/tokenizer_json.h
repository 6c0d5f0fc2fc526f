// Reading and writing tokenizer.json: the parts that do not depend on the kind of model.
// Our one addition to Hugging Face's format is the key `slotwise_roles` in an entry of
// `added_tokens` ("pad", "bos", "eos", "unknown"): their loader passes over unknown keys there, but
// not at the top of the file.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer_vocabulary.h"

namespace slotwise {

nlohmann::json parse_json(std::string_view text, std::string_view name);

// Vocabulary (model.vocab and added_tokens), added tokens, roles.
TokenizerParts read_tokenizer_parts(const nlohmann::json& document, std::string text);

// "<pad>", "<s>", "</s>", "<|endoftext|>" and the like.
SpecialTokens roles_by_name(const std::vector<AddedToken>& added);

// The text of a whole tokenizer.json, one token a line.
struct TokenizerDocument {
  const Vocabulary* vocabulary = nullptr;
  std::vector<AddedToken> added;
  SpecialTokens special;
  std::string pre_tokenizer, decoder;     // JSON
  std::string model_begin;                // JSON members of `model` before `vocab`
  std::vector<std::string> model_merges;  // "a b"; written for a BPE only
  bool has_merges = false;
};
std::string tokenizer_json_text(const TokenizerDocument& document);

// One kind of model each.
std::unique_ptr<Tokenizer> word_level_from_json(const nlohmann::json& document, std::string text);
std::unique_ptr<Tokenizer> byte_level_bpe_from_json(const nlohmann::json& document,
                                                    std::string text);

}  // namespace slotwise
