#include "data/tokenizer_utf8.h"

#include <cstring>

#include "core/error.h"

namespace slotwise {

namespace {

struct LeadByte {
  std::size_t continuation_count;  // 0: cannot begin a sequence of several bytes
  unsigned char second_low, second_high;
};

// The limits of the second byte exclude overlong forms, surrogates and what lies past U+10FFFF.
LeadByte lead_byte(unsigned char byte) {
  if (byte >= 0xC2 && byte <= 0xDF) return {1, 0x80, 0xBF};
  if (byte == 0xE0) return {2, 0xA0, 0xBF};
  if (byte == 0xED) return {2, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {2, 0x80, 0xBF};
  if (byte == 0xF0) return {3, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {3, 0x80, 0xBF};
  if (byte == 0xF4) return {3, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

Utf8Character utf8_character_at(std::string_view text, std::size_t position) {
  const auto byte_at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte_at(position);
  if (first < 0x80) return {first, 1, true};
  const LeadByte lead = lead_byte(first);
  if (lead.continuation_count == 0) return {0, 1, false};
  std::uint32_t code_point = first & (0x3Fu >> lead.continuation_count);
  for (std::size_t i = 1; i <= lead.continuation_count; ++i) {
    const unsigned char low = i == 1 ? lead.second_low : 0x80;
    const unsigned char high = i == 1 ? lead.second_high : 0xBF;
    if (position + i >= text.size() || byte_at(position + i) < low ||
        byte_at(position + i) > high) {
      return {0, i, false};
    }
    code_point = (code_point << 6) | (byte_at(position + i) & 0x3Fu);
  }
  return {code_point, lead.continuation_count + 1, true};
}

std::optional<std::size_t> first_invalid_utf8(std::string_view text) {
  std::size_t position = 0;
  while (position < text.size()) {
    std::uint64_t eight_bytes;
    if (position + sizeof eight_bytes <= text.size()) {  // ASCII goes by eights
      std::memcpy(&eight_bytes, text.data() + position, sizeof eight_bytes);
      if ((eight_bytes & 0x8080808080808080ull) == 0) {
        position += sizeof eight_bytes;
        continue;
      }
    }
    const Utf8Character character = utf8_character_at(text, position);
    if (!character.valid) return position;
    position += character.byte_count;
  }
  return std::nullopt;
}

void check_utf8(std::string_view text) {
  if (const auto offset = first_invalid_utf8(text)) {
    user_error(
        "expected UTF-8 text, got the invalid byte 0x{:02X} at byte offset {} of {}: "
        "convert the text to UTF-8",
        static_cast<unsigned char>(text[*offset]), *offset, text.size());
  }
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string replaced;
  replaced.reserve(text.size());
  while (!text.empty()) {
    const std::size_t valid_bytes = first_invalid_utf8(text).value_or(text.size());
    replaced.append(text.substr(0, valid_bytes));
    text.remove_prefix(valid_bytes);
    if (text.empty()) break;
    append_utf8(replaced, 0xFFFD);
    text.remove_prefix(utf8_character_at(text, 0).byte_count);
  }
  return replaced;
}

void append_utf8(std::string& text, std::uint32_t code_point) {
  const auto continuation = [&](int shift) {
    text.push_back(static_cast<char>(0x80 | ((code_point >> shift) & 0x3F)));
  };
  if (code_point < 0x80) {
    text.push_back(static_cast<char>(code_point));
  } else if (code_point < 0x800) {
    text.push_back(static_cast<char>(0xC0 | (code_point >> 6)));
    continuation(0);
  } else if (code_point < 0x10000) {
    text.push_back(static_cast<char>(0xE0 | (code_point >> 12)));
    continuation(6);
    continuation(0);
  } else {
    text.push_back(static_cast<char>(0xF0 | (code_point >> 18)));
    continuation(12);
    continuation(6);
    continuation(0);
  }
}

bool is_white_space(std::uint32_t code_point) {
  if (code_point < 0x80) return code_point == ' ' || (code_point >= '\t' && code_point <= '\r');
  return code_point == 0x85 || code_point == 0xA0 || code_point == 0x1680 ||
         (code_point >= 0x2000 && code_point <= 0x200A) || code_point == 0x2028 ||
         code_point == 0x2029 || code_point == 0x202F || code_point == 0x205F ||
         code_point == 0x3000;
}

std::size_t trailing_white_space_bytes(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0) {
    std::size_t begin = end - 1;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
    if (!is_white_space(utf8_character_at(text, begin).code_point)) break;
    end = begin;
  }
  return text.size() - end;
}

std::size_t leading_white_space_bytes(std::string_view text) {
  std::size_t position = 0;
  while (position < text.size()) {
    const Utf8Character character = utf8_character_at(text, position);
    if (!is_white_space(character.code_point)) break;
    position += character.byte_count;
  }
  return position;
}

}  // namespace slotwise
