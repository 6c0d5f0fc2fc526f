#include "data/tokenizer_json.h"

#include <array>
#include <initializer_list>
#include <utility>

#include "core/error.h"

namespace slotwise {

using nlohmann::json;

namespace {

struct Role {
  const char* name;
  std::optional<int> SpecialTokens::*id;
  std::initializer_list<std::string_view> usual_names;  // the first that is there
};

const std::array<Role, 4>& roles() {
  static const std::array<Role, 4> all = {{
      {"pad", &SpecialTokens::pad, {"<pad>", "<|pad|>", "[PAD]"}},
      {"bos", &SpecialTokens::bos, {"<bos>", "<s>", "<|begin_of_text|>", "<|endoftext|>"}},
      {"eos", &SpecialTokens::eos, {"<eos>", "</s>", "<|end_of_text|>", "<|endoftext|>"}},
      {"unknown", &SpecialTokens::unknown, {"<unk>", "[UNK]"}},
  }};
  return all;
}

AddedToken read_added_token(const json& entry) {
  AddedToken token;
  token.content = entry.at("content").get<std::string>();
  const auto id = entry.at("id").get<std::int64_t>();
  if (entry.value("single_word", false)) {
    user_error("added token \"{}\" asks for single_word, which is not known here: set it to false",
               token.content);
  }
  token.id = static_cast<std::int32_t>(id);
  token.special = entry.value("special", false);
  token.lstrip = entry.value("lstrip", false);
  token.rstrip = entry.value("rstrip", false);
  token.normalized = entry.value("normalized", !token.special);
  return token;
}

// True when the file says roles itself, even if for some tokens only.
bool read_roles(const json& entry, int id, SpecialTokens& special) {
  const auto names = entry.find("slotwise_roles");
  if (names == entry.end()) return false;
  for (const json& name : *names) {
    for (const Role& role : roles()) {
      if (name == role.name) special.*role.id = id;
    }
  }
  return true;
}

std::string added_token_line(const AddedToken& token, const SpecialTokens& special) {
  std::vector<std::string> names;
  for (const Role& role : roles()) {
    if (special.*role.id == token.id) names.emplace_back(role.name);
  }
  return fmt::format(R"({{"id": {}, "content": {}, "single_word": false, "lstrip": {}, )"
                     R"("rstrip": {}, "normalized": {}, "special": {}, "slotwise_roles": {}}})",
                     token.id, json(token.content).dump(), token.lstrip, token.rstrip,
                     token.normalized, token.special, json(names).dump());
}

}  // namespace

json parse_json(std::string_view text, std::string_view name) {
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {
    user_error("{} is not JSON (byte offset {} of {}): fetch or write it again", name, error.byte,
               text.size());
  }
}

SpecialTokens roles_by_name(const std::vector<AddedToken>& added) {
  SpecialTokens special;
  for (const Role& role : roles()) {
    for (const std::string_view name : role.usual_names) {
      if (special.*role.id) break;
      for (const AddedToken& token : added) {
        if (token.content == name) special.*role.id = token.id;
      }
    }
  }
  return special;
}

TokenizerParts read_tokenizer_parts(const json& document, std::string text) {
  TokenizerParts parts;
  for (const auto& [token, id] : document.at("model").at("vocab").items()) {
    parts.vocabulary.add(token, id.get<std::int64_t>());
  }
  std::vector<AddedToken> added;
  bool has_roles = false;
  if (document.contains("added_tokens") && !document["added_tokens"].is_null()) {
    for (const json& entry : document["added_tokens"]) {
      parts.vocabulary.add(entry.at("content").get<std::string>(),
                           entry.at("id").get<std::int64_t>());
      added.push_back(read_added_token(entry));
      has_roles |= read_roles(entry, added.back().id, parts.special);
    }
  }
  if (parts.vocabulary.size() == 0) user_error("the vocabulary is empty: expected tokens");
  if (!has_roles) parts.special = roles_by_name(added);
  parts.added = AddedTokens(std::move(added));
  parts.json = std::move(text);
  return parts;
}

std::string tokenizer_json_text(const TokenizerDocument& document) {
  std::string text = "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n";
  std::string_view separator = "";
  const auto next_line = [&](std::string_view indent, std::string_view line) {
    text += fmt::format("{}\n{}{}", separator, indent, line);
    separator = ",";
  };
  text += "  \"added_tokens\": [";
  for (const AddedToken& token : document.added) {
    next_line("    ", added_token_line(token, document.special));
  }
  text += fmt::format(
      "\n  ],\n  \"normalizer\": null,\n  \"pre_tokenizer\": {},\n"
      "  \"post_processor\": null,\n  \"decoder\": {},\n"
      "  \"model\": {{\n    {},\n    \"vocab\": {{",
      document.pre_tokenizer, document.decoder, document.model_begin);
  separator = "";
  for (int id = 0; id < document.vocabulary->size(); ++id) {
    if (!document.vocabulary->contains(id)) continue;
    next_line("      ", fmt::format("{}: {}", json(document.vocabulary->text(id)).dump(), id));
  }
  text += "\n    }";
  if (document.has_merges) {
    text += ",\n    \"merges\": [";
    separator = "";
    for (const std::string& merge : document.model_merges) next_line("      ", json(merge).dump());
    text += "\n    ]";
  }
  text += "\n  }\n}\n";
  return text;
}

}  // namespace slotwise
