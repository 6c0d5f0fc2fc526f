#define PCRE2_CODE_UNIT_WIDTH 8
#include "data/unicode_regex.h"

#include <pcre2.h>

#include <array>
#include <utility>

#include "core/error.h"

namespace slotwise {

namespace {

constexpr std::string_view kWhiteSpace =
    R"(\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

std::string pcre2_message(int code) {
  std::array<unsigned char, 256> buffer{};
  pcre2_get_error_message(code, buffer.data(), buffer.size());
  return reinterpret_cast<const char*>(buffer.data());
}

// Inside a character class `\S` stays PCRE2's: a class cannot hold a negated one.
std::string with_unicode_white_space(std::string_view pattern) {
  std::string rewritten;
  bool in_class = false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      const char escaped = pattern[++i];
      if (std::string_view("wWbBhH").find(escaped) != std::string_view::npos) {
        user_error(
            "the regular expression {} uses \\{}, which Oniguruma and PCRE2 read differently: "
            "write the classes out, as \\p{{L}}",
            pattern, escaped);
      }
      if (escaped == 's') {
        rewritten += in_class ? std::string(kWhiteSpace) : fmt::format("[{}]", kWhiteSpace);
      } else if (escaped == 'S' && !in_class) {
        rewritten += fmt::format("[^{}]", kWhiteSpace);
      } else {
        rewritten += {c, escaped};
      }
      continue;
    }
    if (in_class && c == '[') {
      const std::size_t end = pattern.substr(i, 2) == "[:" ? pattern.find(":]", i) : pattern.npos;
      if (end == pattern.npos) {
        user_error(
            "the regular expression {} nests classes ([ within [ ]), which PCRE2 does not "
            "know: write \\[ for the bracket itself",
            pattern);
      }
      rewritten += pattern.substr(i, end + 2 - i);
      i = end + 1;
      continue;
    }
    if (c == '[') in_class = true;
    if (c == ']') in_class = false;
    rewritten += c;
  }
  return rewritten;
}

}  // namespace

struct UnicodeRegex::Code {
  pcre2_code* compiled = nullptr;
  ~Code() { pcre2_code_free(compiled); }
};

UnicodeRegex::UnicodeRegex(std::string pattern)
    : pattern_(std::move(pattern)), code_(std::make_unique<Code>()) {
  if (pattern_.find("&&") != std::string::npos) {
    user_error(
        "the regular expression {} intersects classes (&&), which PCRE2 does not know: "
        "write it without &&",
        pattern_);
  }
  const std::string rewritten = with_unicode_white_space(pattern_);
  int error = 0;
  PCRE2_SIZE offset = 0;
  code_->compiled =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(rewritten.data()), rewritten.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &offset, nullptr);
  if (code_->compiled == nullptr) {
    user_error("the regular expression {} does not compile: {}", pattern_, pcre2_message(error));
  }
  // Where the machine has no just-in-time compiler, matching is slower and the same.
  pcre2_jit_compile(code_->compiled, PCRE2_JIT_COMPLETE);
}

UnicodeRegex::~UnicodeRegex() = default;
UnicodeRegex::UnicodeRegex(UnicodeRegex&&) noexcept = default;
UnicodeRegex& UnicodeRegex::operator=(UnicodeRegex&&) noexcept = default;

UnicodeRegex::Scan::Scan(const UnicodeRegex& regex_in, std::string_view text_in)
    : regex(regex_in),
      text(text_in),
      match_data(pcre2_match_data_create_from_pattern(regex_in.code_->compiled, nullptr)) {
  SLOTWISE_CHECK(match_data != nullptr, "[regex] out of memory");
}

UnicodeRegex::Scan::~Scan() {
  pcre2_match_data_free(static_cast<pcre2_match_data*>(match_data));
}

bool UnicodeRegex::Scan::next() {
  if (end >= text.size()) return false;
  auto* data = static_cast<pcre2_match_data*>(match_data);
  const int code =
      pcre2_match(regex.code_->compiled, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                  end, PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, data, nullptr);
  if (code == PCRE2_ERROR_NOMATCH) return false;
  if (code < 0) {
    user_error("the regular expression {} fails at byte offset {} of the text: {}", regex.pattern_,
               end, pcre2_message(code));
  }
  const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data);
  begin = bounds[0];
  end = bounds[1];
  return true;
}

}  // namespace slotwise
