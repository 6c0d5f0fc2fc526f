// Tokenizers: text to token ids and back. Two kinds, both kept in Hugging Face's `tokenizer.json`:
// WordLevel (words between white space) and byte-level BPE (GPT-2, Llama 3 and relatives, or
// trained here). Text is UTF-8. Encoding adds no special tokens of its own, but a special token
// that is written out in the text ("a<|endoftext|>b") becomes its id, as in Hugging Face's library.
// encode() and decode() may be called from several threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slotwise {

struct SpecialTokens {  // ids
  std::optional<int> pad = {}, bos = {}, eos = {}, unknown = {};
  bool operator==(const SpecialTokens&) const = default;
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // UserError when the text is not UTF-8 (with the byte offset) or holds what no token stands for.
  virtual std::vector<std::int32_t> encode(std::string_view text) const = 0;
  // Special tokens are skipped; bytes that are not UTF-8 become U+FFFD. UserError on a foreign id.
  virtual std::string decode(std::span<const std::int32_t> ids) const = 0;
  // The largest id + 1.
  virtual int vocabulary_size() const = 0;
  // The token as the vocabulary writes it ("Ġthe" for " the" in a byte-level BPE, so that every
  // byte is a visible character): what token_id() takes. Empty for an id that no token has.
  virtual std::string token_text(std::int32_t id) const = 0;
  virtual std::optional<std::int32_t> token_id(std::string_view token) const = 0;

  const SpecialTokens& special() const { return special_; }
  // The text of tokenizer.json; of a loaded one, the file's own text.
  const std::string& to_json() const { return json_; }
  // SHA-256 of to_json(), which is also that of the saved file.
  std::string hash() const;
  // Writes aside and renames, so an existing file is replaced whole or not at all.
  void save(const std::filesystem::path& path) const;

 protected:
  Tokenizer(SpecialTokens special, std::string json) : special_(special), json_(std::move(json)) {}

 private:
  SpecialTokens special_;
  std::string json_;
};

// Reads tokenizer.json (also .gz, .zst) with model.type WordLevel or byte-level BPE. The roles of
// special tokens are read from our key `slotwise_roles` of added_tokens, else told from names such
// as "<pad>", "</s>".
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& tokenizer_json);

// The same from memory; `name` is what messages call it.
std::unique_ptr<Tokenizer> tokenizer_from_json(std::string json, std::string_view name);

// A word's id is its place. An unknown word becomes special.unknown, or is a UserError without it.
std::unique_ptr<Tokenizer> make_word_level(std::vector<std::string> vocabulary,
                                           SpecialTokens special);

// GPT-2's own files, plain or .gz. <|endoftext|> is both bos and eos.
std::unique_ptr<Tokenizer> load_gpt2(const std::filesystem::path& encoder_json,
                                     const std::filesystem::path& vocab_bpe);

struct BpeTraining {
  int vocabulary_size = 0;  // with the special tokens and the 256 bytes
  int min_frequency = 2;    // a pair seen less often is not merged
  std::vector<std::string> special_tokens = {"<|endoftext|>"};  // ids 0, 1, ...
};

// Learns a byte-level BPE with GPT-2's pattern: the merges of Hugging Face's BpeTrainer, tie for
// tie. Texts are counted as they are added, one by one, and need not be kept.
class BpeTrainer {
 public:
  BpeTrainer();
  ~BpeTrainer();
  void add(std::string_view text);  // UserError when it is not UTF-8
  std::unique_ptr<Tokenizer> train(const BpeTraining& training) const;

 private:
  struct Counts;
  std::unique_ptr<Counts> counts_;
};

}  // namespace slotwise
