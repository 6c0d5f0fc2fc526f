#include "data/tokenizer_vocabulary.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "data/tokenizer_utf8.h"

namespace slotwise {

namespace {

// Far above any published vocabulary; keeps a broken file from asking for gigabytes.
constexpr std::int64_t kIdLimit = std::int64_t{1} << 24;

}  // namespace

void Vocabulary::add(std::string_view token, std::int64_t id) {
  if (id < 0 || id >= kIdLimit) {
    user_error("token \"{}\" has id {}, expected 0 to {}: repair the vocabulary", token, id,
               kIdLimit - 1);
  }
  const auto index = static_cast<std::size_t>(id);
  if (index >= tokens_.size()) {
    tokens_.resize(index + 1);
    used_.resize(index + 1, false);
  }
  if (used_[index] && tokens_[index] != token) {
    user_error("tokens \"{}\" and \"{}\" both have id {}: give each token its own id",
               tokens_[index], token, id);
  }
  const auto [place, is_new] = ids_.emplace(token, static_cast<std::int32_t>(id));
  if (!is_new && place->second != id) {
    user_error("token \"{}\" has two ids, {} and {}: keep one", token, place->second, id);
  }
  tokens_[index] = token;
  used_[index] = true;
}

bool Vocabulary::contains(std::int32_t id) const {
  return id >= 0 && id < size() && used_[static_cast<std::size_t>(id)];
}

std::optional<std::int32_t> Vocabulary::id(std::string_view token) const {
  const auto place = ids_.find(token);
  if (place == ids_.end()) return std::nullopt;
  return place->second;
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    index_by_id_.emplace(tokens_[i].id, i);
    if (tokens_[i].content.empty()) continue;
    Matcher& matcher = tokens_[i].normalized ? normalized_ : raw_;
    matcher.sorted.push_back(&tokens_[i]);
    matcher.first_byte[static_cast<unsigned char>(tokens_[i].content.front())] = true;
  }
  for (Matcher* matcher : {&raw_, &normalized_}) {
    std::ranges::sort(matcher->sorted, {}, &AddedToken::content);
  }
}

const AddedToken* AddedTokens::find(std::int32_t id) const {
  const auto place = index_by_id_.find(id);
  return place == index_by_id_.end() ? nullptr : &tokens_[place->second];
}

const AddedToken* AddedTokens::Matcher::longest_at(std::string_view text,
                                                   std::size_t position) const {
  const AddedToken* longest = nullptr;
  auto low = sorted.begin();
  auto high = sorted.end();
  // Here all of [low, high) agree with the text on their first `depth` bytes; the first of them in
  // order may end right there.
  for (std::size_t depth = 0; low != high; ++depth) {
    if (depth > 0 && (*low)->content.size() == depth) {
      longest = *low;
      ++low;
    }
    if (position + depth >= text.size()) break;
    const auto byte = [&](const AddedToken* token) {
      return static_cast<unsigned char>(token->content[depth]);
    };
    const auto range = std::ranges::equal_range(
        low, high, static_cast<unsigned char>(text[position + depth]), {}, byte);
    low = range.begin();
    high = range.end();
  }
  return longest;
}

void AddedTokens::Matcher::split(std::string_view text,
                                 const std::function<void(std::string_view)>& text_piece,
                                 const std::function<void(std::int32_t)>& added_token) const {
  std::size_t piece_begin = 0;
  std::size_t position = sorted.empty() ? text.size() : 0;
  while (position < text.size()) {
    if (!first_byte[static_cast<unsigned char>(text[position])]) {
      ++position;
      continue;
    }
    const AddedToken* token = longest_at(text, position);
    if (token == nullptr) {
      ++position;
      continue;
    }
    std::string_view before = text.substr(piece_begin, position - piece_begin);
    if (token->lstrip) before.remove_suffix(trailing_white_space_bytes(before));
    if (!before.empty()) text_piece(before);
    added_token(token->id);
    position += token->content.size();
    if (token->rstrip) position += leading_white_space_bytes(text.substr(position));
    piece_begin = position;
  }
  if (piece_begin < text.size()) text_piece(text.substr(piece_begin));
}

void AddedTokens::split(std::string_view text,
                        const std::function<void(std::string_view)>& text_piece,
                        const std::function<void(std::int32_t)>& added_token) const {
  raw_.split(
      text, [&](std::string_view piece) { normalized_.split(piece, text_piece, added_token); },
      added_token);
}

VocabularyTokenizer::VocabularyTokenizer(TokenizerParts parts)
    : Tokenizer(parts.special, std::move(parts.json)),
      vocabulary_(std::move(parts.vocabulary)),
      added_(std::move(parts.added)) {}

std::vector<std::int32_t> VocabularyTokenizer::encode(std::string_view text) const {
  check_utf8(text);
  std::vector<std::int32_t> ids;
  ids.reserve(text.size() / 3);
  added_.split(
      text, [&](std::string_view piece) { encode_piece(piece, ids); },
      [&](std::int32_t id) { ids.push_back(id); });
  return ids;
}

std::string VocabularyTokenizer::token_text(std::int32_t id) const {
  return vocabulary_.contains(id) ? vocabulary_.text(id) : std::string();
}

std::optional<std::int32_t> VocabularyTokenizer::token_id(std::string_view token) const {
  return vocabulary_.id(token);
}

const std::string* VocabularyTokenizer::text_to_decode(std::int32_t id) const {
  if (id < 0 || id >= vocabulary_.size()) {
    user_error(
        "token id {} is outside the vocabulary of {} tokens: decode with the tokenizer that "
        "encoded the text",
        id, vocabulary_.size());
  }
  const AddedToken* token = added_.find(id);
  return token != nullptr && token->special ? nullptr : &vocabulary_.text(id);
}

}  // namespace slotwise
