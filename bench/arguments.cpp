#include "bench/arguments.h"

#include <benchmark/benchmark.h>

#include <charconv>
#include <cstdio>
#include <new>

#include "core/files.h"

namespace slotwise::bench {
namespace {

template <class... Values>
[[noreturn]] void usage_error(fmt::format_string<Values...> format, Values&&... values) {
  throw UsageError(fmt::format(format, std::forward<Values>(values)...));
}

std::int64_t parsed(const std::string& name, const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1) {
    usage_error("{} takes a whole number from 1 on, got '{}'", name, text);
  }
  return value;
}

}  // namespace

Arguments::Arguments(int argc, char** argv) : count_(argc), words_(argv, argv + argc) {}

std::string Arguments::text(const std::string& name, const std::string& otherwise) {
  std::string value = otherwise;
  std::vector<char*> left;
  for (std::size_t i = 0; i < words_.size(); ++i) {
    const std::string word = words_[i];
    if (word == name) {
      if (i + 1 == words_.size()) usage_error("{} needs a value", name);
      value = words_[++i];
    } else if (word.starts_with(name + "=")) {
      value = word.substr(name.size() + 1);
    } else {
      left.push_back(words_[i]);
    }
  }
  words_ = left;
  count_ = static_cast<int>(words_.size());
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
  const std::size_t before = words_.size();
  std::erase_if(words_, [&](const char* word) { return name == word; });
  count_ = static_cast<int>(words_.size());
  return words_.size() != before;
}

void Arguments::initialize_benchmark() {
  // Google Benchmark opens it only after what a benchmark registers and allocates.
  for (const std::string word : words_) {
    constexpr std::string_view kOut = "--benchmark_out=";
    if (word.starts_with(kOut)) expect_writable(word.substr(kOut.size()));
  }
  benchmark::Initialize(&count_, words_.data());
  if (count_ > 1) usage_error("unknown argument '{}'", words_[1]);
}

int run_bench(const char* name, const char* help, int argc, char** argv,
              const std::function<void(Arguments&)>& body) {
  int code = 0;
  try {
    Arguments arguments(argc, argv);
    if (arguments.flag("--help")) {
      std::fputs(help, stdout);
    } else {
      body(arguments);
    }
  } catch (const UsageError& error) {
    fmt::print(stderr, "{}: {}; see {} --help\n", name, error.what(), name);
    code = 2;
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "{}: out of memory on the host; use smaller sizes\n", name);
    code = 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}: {}\n", name, error.what());
    code = 1;
  }
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  fmt::print(stderr, "{}: cannot write to standard output; part of the text is lost\n", name);
  return code == 0 ? 1 : code;
}

}  // namespace slotwise::bench
