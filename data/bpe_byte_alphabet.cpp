#include "data/bpe_byte_alphabet.h"

#include <array>

#include "data/tokenizer_utf8.h"

namespace slotwise {

namespace {

constexpr std::uint32_t kFirstSubstitute = 0x100;
constexpr std::size_t kSubstituteCount = 68;

struct ByteAlphabet {
  std::array<std::uint32_t, 256> character{};
  // Below 0x100: -1 where the character stands for no byte; then the substitutes.
  std::array<std::int16_t, kFirstSubstitute + kSubstituteCount> byte{};

  ByteAlphabet() {
    byte.fill(-1);
    std::uint32_t substitute = kFirstSubstitute;
    for (std::uint32_t b = 0; b < 256; ++b) {
      const bool is_visible = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      character[b] = is_visible ? b : substitute++;
      byte[character[b]] = static_cast<std::int16_t>(b);
    }
  }
};

const ByteAlphabet& alphabet() {
  static const ByteAlphabet the_alphabet;
  return the_alphabet;
}

}  // namespace

std::uint32_t character_of_byte(unsigned char byte) {
  return alphabet().character[byte];
}

std::string visible_from_bytes(std::string_view bytes) {
  std::string visible;
  visible.reserve(bytes.size() + bytes.size() / 4);
  for (const char byte : bytes) {
    append_utf8(visible, character_of_byte(static_cast<unsigned char>(byte)));
  }
  return visible;
}

std::optional<std::string> bytes_from_visible(std::string_view visible) {
  std::string bytes;
  for (std::size_t position = 0; position < visible.size();) {
    const Utf8Character character = utf8_character_at(visible, position);
    const auto& byte = alphabet().byte;
    if (!character.valid || character.code_point >= byte.size() || byte[character.code_point] < 0) {
      return std::nullopt;
    }
    bytes.push_back(static_cast<char>(byte[character.code_point]));
    position += character.byte_count;
  }
  return bytes;
}

}  // namespace slotwise
