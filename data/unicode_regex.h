// A Unicode regular expression as tokenizer.json files write it (Oniguruma's dialect), run by PCRE2
// with its just-in-time compiler. `\s` and `\S` are rewritten to Unicode's White_Space set, because
// PCRE2's own `\s` also takes U+180E. What a letter or a number is follows the Unicode version of
// the installed PCRE2.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace slotwise {

class UnicodeRegex {
 public:
  explicit UnicodeRegex(std::string pattern);  // UserError when it does not compile
  ~UnicodeRegex();
  UnicodeRegex(UnicodeRegex&&) noexcept;
  UnicodeRegex& operator=(UnicodeRegex&&) noexcept;

  const std::string& pattern() const { return pattern_; }

  // Calls visit(begin, end) for each match in order; empty matches are passed over. The text must
  // be valid UTF-8: it is not checked again. Safe to call from several threads.
  template <class Visit>
  void for_each_match(std::string_view text, Visit&& visit) const {
    Scan scan(*this, text);
    while (scan.next()) visit(scan.begin, scan.end);
  }

 private:
  struct Code;
  struct Scan {
    Scan(const UnicodeRegex& regex, std::string_view text);
    ~Scan();
    Scan(const Scan&) = delete;
    Scan& operator=(const Scan&) = delete;
    bool next();

    std::size_t begin = 0, end = 0;
    const UnicodeRegex& regex;
    std::string_view text;
    void* match_data;
  };

  std::string pattern_;
  std::unique_ptr<Code> code_;
};

}  // namespace slotwise
