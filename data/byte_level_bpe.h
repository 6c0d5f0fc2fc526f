// Byte-level BPE: a text is cut into words, the bytes of each word are tokens to begin with, and
// neighbours are joined in the order of the merge table. Every text can be encoded, and decoding
// gives back the same bytes.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/bpe_merge.h"
#include "data/bpe_pre_tokenizer.h"
#include "data/bpe_word_cache.h"
#include "data/tokenizer_vocabulary.h"

namespace slotwise {

// What `model` of tokenizer.json says besides the vocabulary.
struct BpeModel {
  MergeTable merges;
  BpePreTokenizer pre_tokenizer;
  bool ignore_merges = false;           // a word that is a token needs no merges
  std::optional<std::int32_t> unknown;  // for a byte that is no token
};

class ByteLevelBpe final : public VocabularyTokenizer {
 public:
  ByteLevelBpe(TokenizerParts parts, BpeModel model);
  std::string decode(std::span<const std::int32_t> ids) const override;

 protected:
  void encode_piece(std::string_view piece, std::vector<std::int32_t>& ids) const override;

 private:
  void encode_word(std::string_view word, std::vector<std::int32_t>& ids) const;
  std::vector<std::int32_t> merge_word(std::string_view word) const;

  BpeModel model_;
  std::array<std::int32_t, 256> byte_ids_;
  std::vector<std::string> bytes_;  // of each id
  std::unique_ptr<BpeWordCache> cache_ = std::make_unique<BpeWordCache>();
};

// A tokenizer with GPT-2's pre-tokenizer. Merges are "a b" in the order of their ranks; roles of
// the added tokens follow from their names.
std::unique_ptr<Tokenizer> make_byte_level_bpe(const Vocabulary& vocabulary,
                                               std::vector<std::string> merges,
                                               std::vector<AddedToken> added,
                                               std::string_view name);

}  // namespace slotwise
