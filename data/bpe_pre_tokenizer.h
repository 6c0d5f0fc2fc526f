// What cuts a text into the words that BPE works on: stages read from `pre_tokenizer` of a
// tokenizer.json. A byte-level one ends with ByteLevel; Split and Digits may come before it.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "data/unicode_regex.h"

namespace slotwise {

inline constexpr const char* kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

class BpePreTokenizer {
 public:
  // UserError when this is not a byte-level pre-tokenizer or asks for what is not known here.
  static BpePreTokenizer from_json(const nlohmann::json& pre_tokenizer);

  // Calls word(bytes) in the text's order. A word may point into a buffer that ends with the call.
  void split(std::string_view text, const std::function<void(std::string_view)>& word) const {
    split_from(0, text, word);
  }

 private:
  struct Stage {
    bool add_prefix_space;
    std::vector<UnicodeRegex> cut;  // none or one
    bool keep_matches, keep_gaps;
  };
  void add_split(const nlohmann::json& split);
  void add_byte_level(const nlohmann::json& byte_level);
  void split_from(std::size_t stage, std::string_view text,
                  const std::function<void(std::string_view)>& word) const;

  std::vector<Stage> stages_;
};

}  // namespace slotwise
