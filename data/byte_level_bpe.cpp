#include "data/byte_level_bpe.h"

#include "core/error.h"
#include "data/bpe_byte_alphabet.h"
#include "data/tokenizer_utf8.h"

namespace slotwise {

namespace {

constexpr std::int32_t kNoToken = -1;

}  // namespace

ByteLevelBpe::ByteLevelBpe(TokenizerParts parts, BpeModel model)
    : VocabularyTokenizer(std::move(parts)), model_(std::move(model)) {
  for (int byte = 0; byte < 256; ++byte) {
    std::string character;
    append_utf8(character, character_of_byte(static_cast<unsigned char>(byte)));
    byte_ids_[static_cast<std::size_t>(byte)] =
        vocabulary().id(character).value_or(model_.unknown.value_or(kNoToken));
  }
  bytes_.reserve(static_cast<std::size_t>(vocabulary().size()));
  for (std::int32_t id = 0; id < vocabulary().size(); ++id) {
    const std::string& text = vocabulary().text(id);
    // An added token is written as it is read, not in the byte alphabet.
    const bool is_added = added().find(id) != nullptr;
    bytes_.push_back(is_added ? text : bytes_from_visible(text).value_or(text));
  }
}

std::string ByteLevelBpe::decode(std::span<const std::int32_t> ids) const {
  std::string bytes;
  for (const std::int32_t id : ids) {
    if (text_to_decode(id) != nullptr) bytes += bytes_[static_cast<std::size_t>(id)];
  }
  return replace_invalid_utf8(bytes);
}

void ByteLevelBpe::encode_piece(std::string_view piece, std::vector<std::int32_t>& ids) const {
  model_.pre_tokenizer.split(piece, [&](std::string_view word) { encode_word(word, ids); });
}

void ByteLevelBpe::encode_word(std::string_view word, std::vector<std::int32_t>& ids) const {
  const bool is_cached = word.size() <= BpeWordCache::kLongestWordBytes;
  if (is_cached && cache_->append(word, ids)) return;
  const std::vector<std::int32_t> symbols = merge_word(word);
  if (is_cached) cache_->put(word, symbols);
  ids.insert(ids.end(), symbols.begin(), symbols.end());
}

std::vector<std::int32_t> ByteLevelBpe::merge_word(std::string_view word) const {
  if (model_.ignore_merges) {
    if (const auto id = vocabulary().id(visible_from_bytes(word))) return {*id};
  }
  std::vector<std::int32_t> symbols;
  symbols.reserve(word.size());
  for (const char c : word) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte_ids_[byte] == kNoToken) {
      user_error(
          "the text holds the byte 0x{:02X}, which has no token in this vocabulary, and "
          "there is no token for unknown ones: use a tokenizer with all 256 bytes",
          byte);
    }
    symbols.push_back(byte_ids_[byte]);
  }
  apply_merges(model_.merges, symbols);
  return symbols;
}

}  // namespace slotwise
