#include "bench/arguments.h"

#include <charconv>

#include "core/error.h"

namespace slotwise::bench {
namespace {

std::int64_t parsed(const std::string& name, const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1) {
    user_error("{} takes a whole number from 1 on, got '{}'", name, text);
  }
  return value;
}

}  // namespace

Arguments::Arguments(int argc, char** argv) : count(argc), words(argv, argv + argc) {}

std::string Arguments::text(const std::string& name, const std::string& otherwise) {
  std::string value = otherwise;
  std::vector<char*> left;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string word = words[i];
    if (word == name) {
      if (i + 1 == words.size()) user_error("{} needs a value; see --help", name);
      value = words[++i];
    } else if (word.starts_with(name + "=")) {
      value = word.substr(name.size() + 1);
    } else {
      left.push_back(words[i]);
    }
  }
  words = left;
  count = static_cast<int>(words.size());
  return value;
}

std::int64_t Arguments::number(const std::string& name, std::int64_t otherwise) {
  return parsed(name, text(name, std::to_string(otherwise)));
}

std::vector<std::int64_t> Arguments::numbers(const std::string& name,
                                             const std::vector<std::int64_t>& otherwise) {
  const std::string list = text(name, "");
  if (list.empty()) return otherwise;
  std::vector<std::int64_t> out;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    out.push_back(parsed(name, list.substr(begin, end - begin)));
    begin = end + 1;
  }
  return out;
}

bool Arguments::flag(const std::string& name) {
  const std::size_t before = words.size();
  std::erase_if(words, [&](const char* word) { return name == word; });
  count = static_cast<int>(words.size());
  return words.size() != before;
}

}  // namespace slotwise::bench
