// What both kinds of tokenizer share: the vocabulary (token <-> id), the added tokens that are cut
// out of a text before anything else looks at it, and the part of Tokenizer that follows from them.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/tokenizer.h"

namespace slotwise {

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>{}(text);
  }
};

using TokenIds = std::unordered_map<std::string, std::int32_t, StringHash, std::equal_to<>>;

class Vocabulary {
 public:
  // UserError when the id is taken by another token or out of range; the same again changes
  // nothing.
  void add(std::string_view token, std::int64_t id);
  int size() const { return static_cast<int>(tokens_.size()); }  // the largest id + 1
  bool contains(std::int32_t id) const;
  std::optional<std::int32_t> id(std::string_view token) const;
  const std::string& text(std::int32_t id) const { return tokens_[static_cast<std::size_t>(id)]; }

 private:
  std::vector<std::string> tokens_;
  std::vector<bool> used_;
  TokenIds ids_;
};

// The fields of an entry of `added_tokens`, by their Hugging Face names.
struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool special = true;
  bool lstrip = false;      // takes the white space before it
  bool rstrip = false;      // takes the white space after it
  bool normalized = false;  // looked for only after the others
};

class AddedTokens {
 public:
  AddedTokens() = default;
  explicit AddedTokens(std::vector<AddedToken> tokens);
  AddedTokens(AddedTokens&&) = default;
  AddedTokens& operator=(AddedTokens&&) = default;

  const std::vector<AddedToken>& tokens() const { return tokens_; }
  const AddedToken* find(std::int32_t id) const;

  // Cuts a valid text: text_piece(piece) and added_token(id) are called in the text's order.
  void split(std::string_view text, const std::function<void(std::string_view)>& text_piece,
             const std::function<void(std::int32_t)>& added_token) const;

 private:
  // The longest token at a place is found by narrowing a sorted range byte by byte.
  struct Matcher {
    std::vector<const AddedToken*> sorted;  // by content; into tokens_
    std::vector<bool> first_byte = std::vector<bool>(256, false);
    const AddedToken* longest_at(std::string_view text, std::size_t position) const;
    void split(std::string_view text, const std::function<void(std::string_view)>& text_piece,
               const std::function<void(std::int32_t)>& added_token) const;
  };

  std::vector<AddedToken> tokens_;
  std::unordered_map<std::int32_t, std::size_t> index_by_id_;
  Matcher raw_, normalized_;
};

struct TokenizerParts {
  Vocabulary vocabulary;
  AddedTokens added;
  SpecialTokens special;
  std::string json;
};

class VocabularyTokenizer : public Tokenizer {
 public:
  std::vector<std::int32_t> encode(std::string_view text) const final;
  int vocabulary_size() const final { return vocabulary_.size(); }
  std::string token_text(std::int32_t id) const final;
  std::optional<std::int32_t> token_id(std::string_view token) const final;

 protected:
  explicit VocabularyTokenizer(TokenizerParts parts);

  // Appends the ids of a valid text without added tokens.
  virtual void encode_piece(std::string_view piece, std::vector<std::int32_t>& ids) const = 0;

  // Of an id to decode: nullptr for a special token, which is skipped. UserError on a foreign id.
  const std::string* text_to_decode(std::int32_t id) const;

  const Vocabulary& vocabulary() const { return vocabulary_; }
  const AddedTokens& added() const { return added_; }

 private:
  Vocabulary vocabulary_;
  AddedTokens added_;
};

}  // namespace slotwise
