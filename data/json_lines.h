// JSON Lines (one JSON object a line, UTF-8), plain or packed as .gz or .zst. Whatever is wrong
// with a row is a UserError that begins with the file and the line: "facts.jsonl, line 3: ...".
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace slotwise {

// Calls `row` for every object; empty lines are skipped. A UserError or a JSON type error thrown by
// `row` gets the file and the line put in front.
void read_json_lines(const std::filesystem::path& path,
                     const std::function<void(const nlohmann::json& row, std::int64_t line)>& row);

// Parses one JSON text; `name` stands first in the error.
nlohmann::json parse_json_text(std::string_view text, const std::string& name);

// Fields of an object; throw a UserError that names the field. texts: a list of at least one
// string.
std::string text_field(const nlohmann::json& row, const char* name);
std::vector<std::string> texts_field(const nlohmann::json& row, const char* name);

// Appends rows to a plain file and flushes each, so that a log can be watched and survives a crash.
// A half-written last row of a run that died is cut off first.
class JsonLinesWriter {
 public:
  explicit JsonLinesWriter(const std::filesystem::path& path);
  ~JsonLinesWriter();
  JsonLinesWriter(const JsonLinesWriter&) = delete;
  JsonLinesWriter& operator=(const JsonLinesWriter&) = delete;
  void write(const nlohmann::json& row);

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace slotwise
