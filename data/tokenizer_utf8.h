// UTF-8 for the tokenizers: checking text, replacing what is broken, white space.
// "Broken" follows the Unicode standard: overlong forms, surrogates and code points past U+10FFFF
// are invalid, and a broken sequence is replaced by one U+FFFD for its longest valid beginning, as
// browsers and Hugging Face's tokenizers do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace slotwise {

struct Utf8Character {
  std::uint32_t code_point = 0;
  std::size_t byte_count = 0;  // of an invalid sequence: the bytes to skip, at least 1
  bool valid = false;
};

// The character at text[position]; position < text.size().
Utf8Character utf8_character_at(std::string_view text, std::size_t position);

// Byte offset of the first invalid sequence.
std::optional<std::size_t> first_invalid_utf8(std::string_view text);

// UserError with the byte offset, where the text is not valid UTF-8.
void check_utf8(std::string_view text);

std::string replace_invalid_utf8(std::string_view text);
void append_utf8(std::string& text, std::uint32_t code_point);

// The White_Space property of Unicode (25 characters, the same since Unicode 6.3).
bool is_white_space(std::uint32_t code_point);

// Bytes of white space that end / begin a valid text.
std::size_t trailing_white_space_bytes(std::string_view text);
std::size_t leading_white_space_bytes(std::string_view text);

}  // namespace slotwise
