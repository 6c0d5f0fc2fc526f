// GPT-2's map between bytes and visible characters, in which byte-level vocabularies are written:
// the visible Latin-1 bytes stand for themselves, the others (white space, controls, 0xAD) become
// U+0100, U+0101, ... in byte order, so that a space is U+0120 ("Ġ").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace slotwise {

std::uint32_t character_of_byte(unsigned char byte);

// "Ġthe" for " the".
std::string visible_from_bytes(std::string_view bytes);

// The way back; nothing when the text holds a character that stands for no byte.
std::optional<std::string> bytes_from_visible(std::string_view visible);

}  // namespace slotwise
