// WordLevel: text is cut at white space and each word is looked up. Decoding joins with one space,
// so what a round trip loses is the kind and amount of white space.
#include <utility>

#include "core/error.h"
#include "data/tokenizer_json.h"
#include "data/tokenizer_utf8.h"

namespace slotwise {

namespace {

class WordLevel final : public VocabularyTokenizer {
 public:
  explicit WordLevel(TokenizerParts parts) : VocabularyTokenizer(std::move(parts)) {}

  std::string decode(std::span<const std::int32_t> ids) const override {
    std::string text;
    bool is_first = true;
    for (const std::int32_t id : ids) {
      const std::string* word = text_to_decode(id);
      if (word == nullptr) continue;
      if (!is_first) text += ' ';
      text += *word;
      is_first = false;
    }
    return text;
  }

 protected:
  void encode_piece(std::string_view piece, std::vector<std::int32_t>& ids) const override {
    std::size_t position = 0;
    std::size_t word_begin = 0;
    while (position < piece.size()) {
      const Utf8Character character = utf8_character_at(piece, position);
      if (is_white_space(character.code_point)) {
        add_word(piece.substr(word_begin, position - word_begin), ids);
        word_begin = position + character.byte_count;
      }
      position += character.byte_count;
    }
    add_word(piece.substr(word_begin), ids);
  }

 private:
  void add_word(std::string_view word, std::vector<std::int32_t>& ids) const {
    if (word.empty()) return;
    if (const auto id = vocabulary().id(word)) {
      ids.push_back(*id);
    } else if (special().unknown) {
      ids.push_back(*special().unknown);
    } else {
      user_error(
          "the word \"{}\" is not in the vocabulary of {} words, which has no token for "
          "unknown words: add the word or an unknown token",
          word, vocabulary().size());
    }
  }
};

void check_word(std::string_view word) {
  check_utf8(word);
  if (word.empty()) user_error("the vocabulary holds an empty word: remove it");
  for (std::size_t position = 0; position < word.size();) {
    const Utf8Character character = utf8_character_at(word, position);
    if (is_white_space(character.code_point)) {
      user_error("the word \"{}\" holds white space, at which text is cut: split it", word);
    }
    position += character.byte_count;
  }
}

}  // namespace

std::unique_ptr<Tokenizer> word_level_from_json(const nlohmann::json& document, std::string text) {
  const nlohmann::json& pre_tokenizer = document.at("pre_tokenizer");
  if (!pre_tokenizer.is_object() || pre_tokenizer.at("type") != "WhitespaceSplit") {
    user_error("a WordLevel model comes with the pre-tokenizer {}: expected WhitespaceSplit",
               pre_tokenizer.is_object() ? pre_tokenizer["type"].get<std::string>() : "null");
  }
  TokenizerParts parts = read_tokenizer_parts(document, std::move(text));
  if (!parts.special.unknown) {
    const std::string unknown = document.at("model").value("unk_token", "");
    parts.special.unknown = parts.vocabulary.id(unknown);
  }
  return std::make_unique<WordLevel>(std::move(parts));
}

std::unique_ptr<Tokenizer> make_word_level(std::vector<std::string> vocabulary,
                                           SpecialTokens special) {
  Vocabulary words;
  for (std::size_t id = 0; id < vocabulary.size(); ++id) {
    check_word(vocabulary[id]);
    words.add(vocabulary[id], static_cast<std::int64_t>(id));
  }
  TokenizerDocument document;
  document.vocabulary = &words;
  document.special = special;
  for (const auto& id : {special.pad, special.bos, special.eos, special.unknown}) {
    if (!id) continue;
    if (!words.contains(*id)) {
      user_error("a special token has id {}, which is not in the vocabulary of {} words", *id,
                 words.size());
    }
    bool is_listed = false;
    for (const AddedToken& token : document.added) is_listed |= token.id == *id;
    if (!is_listed) document.added.push_back({*id, words.text(*id)});
  }
  document.pre_tokenizer = R"({"type": "WhitespaceSplit"})";
  document.decoder = "null";
  // Hugging Face's loader asks for unk_token even where there is none: "" is no word.
  const std::string unknown = special.unknown ? words.text(*special.unknown) : "";
  document.model_begin = fmt::format("\"type\": \"WordLevel\",\n    \"unk_token\": {}",
                                     nlohmann::json(unknown).dump());
  return tokenizer_from_json(tokenizer_json_text(document), "the word vocabulary");
}

}  // namespace slotwise
