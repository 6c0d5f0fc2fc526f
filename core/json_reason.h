// The reason of a JSON library's exception without its tag, for messages to people:
// "[json.exception.type_error.302] type must be string, ..." -> "type must be string, ...".
#pragma once

#include <exception>
#include <string>
#include <string_view>

namespace slotwise {

inline std::string json_reason(const std::exception& error) {
  const std::string_view text = error.what();
  const auto end = text.starts_with("[json.exception.") ? text.find("] ") : text.npos;
  return std::string(end == text.npos ? text : text.substr(end + 2));
}

}  // namespace slotwise
