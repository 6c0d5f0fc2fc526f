#include "data/json_lines.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>

#include "core/error.h"
#include "core/files.h"
#include "core/json_reason.h"
#include "data/compressed_file.h"
#include "data/tokenizer_utf8.h"

namespace slotwise {
namespace {

using nlohmann::json;

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Drops an incomplete last row, and completes a whole one that only lacks its line end.
void mend_last_line(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return;
  const std::string text = read_file(path);
  if (text.empty() || text.back() == '\n') return;
  const std::size_t start = text.rfind('\n') == text.npos ? 0 : text.rfind('\n') + 1;
  if (json::accept(text.substr(start))) {
    write_file_atomically(path, text + "\n");
  } else {
    write_file_atomically(path, text.substr(0, start));
  }
}

}  // namespace

json parse_json_text(std::string_view text, const std::string& name) {
  if (const auto position = first_invalid_utf8(text)) {
    user_error("{}: invalid UTF-8 at byte {}", name, *position + 1);
  }
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {
    std::string reason = json_reason(error);
    // "parse error at line 1, column 5: reason": inside one line the byte says it all.
    if (const auto colon = reason.find(": "); colon != reason.npos) reason.erase(0, colon + 2);
    user_error("{}: broken JSON at byte {}: {}", name, error.byte, reason);
  }
}

void read_json_lines(const std::filesystem::path& path,
                     const std::function<void(const json& row, std::int64_t line)>& row) {
  read_lines(path, [&](std::string_view text, std::int64_t line) {
    if (line == 1 && text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    if (text.find_first_not_of(" \t") == text.npos) return;
    const std::string place = fmt::format("{}, line {}", path.string(), line);
    const json value = parse_json_text(text, place);
    if (!value.is_object()) {
      user_error("{}: expected a JSON object, found {}", place, value.type_name());
    }
    try {
      row(value, line);
    } catch (const json::exception& error) {
      user_error("{}: {}", place, json_reason(error));
    } catch (const UserError& error) {
      user_error("{}: {}", place, error.what());
    }
  });
}

std::string text_field(const json& row, const char* name) {
  const auto field = row.find(name);
  if (field == row.end()) user_error("the field \"{}\" is missing", name);
  if (!field->is_string()) {
    user_error("the field \"{}\" must be a text, found {}", name, field->type_name());
  }
  return field->get<std::string>();
}

std::vector<std::string> texts_field(const json& row, const char* name) {
  const auto field = row.find(name);
  if (field == row.end()) user_error("the field \"{}\" is missing", name);
  if (!field->is_array() || field->empty()) {
    user_error("the field \"{}\" must be a list of at least one text, found {}", name,
               field->is_array() ? "an empty list" : field->type_name());
  }
  std::vector<std::string> texts;
  for (const json& item : *field) {
    if (!item.is_string()) {
      user_error("the field \"{}\" must hold texts, found {}", name, item.type_name());
    }
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

JsonLinesWriter::JsonLinesWriter(const std::filesystem::path& path) : path_(path) {
  mend_last_line(path);
  descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor_ < 0) user_error("cannot write {}: {}", path.string(), std::strerror(errno));
}

JsonLinesWriter::~JsonLinesWriter() {
  ::close(descriptor_);
}

void JsonLinesWriter::write(const json& row) {
  // Bytes that are no UTF-8 (a generated text may hold some) are logged as U+FFFD.
  const std::string text = row.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t count = ::write(descriptor_, text.data() + done, text.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) user_error("cannot write {}: {}", path_.string(), std::strerror(errno));
    done += static_cast<std::size_t>(count);
  }
}

}  // namespace slotwise
