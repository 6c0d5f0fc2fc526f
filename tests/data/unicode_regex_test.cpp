// The regular expressions of tokenizers: Unicode classes, white space as Unicode defines it.
#include "data/unicode_regex.h"

#include "data/tokenizer_utf8.h"
#include "tests/data/tokenizer_test_support.h"

namespace slotwise {
namespace {

std::vector<std::string> matches(const std::string& pattern, std::string_view text) {
  std::vector<std::string> found;
  UnicodeRegex(pattern).for_each_match(text, [&](std::size_t begin, std::size_t end) {
    found.emplace_back(text.substr(begin, end - begin));
  });
  return found;
}

using Strings = std::vector<std::string>;

TEST(UnicodeRegex, LettersAndNumbersOfAllScripts) {
  EXPECT_EQ(matches(R"(\p{L}+)", "caf\u00e9 \u65e5\u672c 12 \u0434\u0430"),
            (Strings{"caf\u00e9", "\u65e5\u672c", "\u0434\u0430"}));
  EXPECT_EQ(matches(R"(\p{N}+)", "a1\u00bd\u0663 \u2167"), (Strings{"1\u00bd\u0663", "\u2167"}));
}

TEST(UnicodeRegex, WhiteSpaceIsUnicodes) {
  const UnicodeRegex space(R"(\s)"), not_space(R"(\S)"), not_in_class(R"([^\s\p{L}])");
  const auto count = [](const UnicodeRegex& regex, const std::string& text) {
    int matched = 0;
    regex.for_each_match(text, [&](std::size_t, std::size_t) { ++matched; });
    return matched;
  };
  int white_space_characters = 0;
  for (std::uint32_t c = 0; c < 0x11000; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, c);
    const bool is_space = is_white_space(c);
    white_space_characters += is_space;
    ASSERT_EQ(count(space, text), is_space ? 1 : 0) << c;
    ASSERT_EQ(count(not_space, text), is_space ? 0 : 1) << c;
    if (is_space) {
      ASSERT_EQ(count(not_in_class, text), 0) << c;
    }
  }
  EXPECT_EQ(white_space_characters, 25);
  EXPECT_EQ(count(space, "\u180e"), 0);  // where PCRE2's own \s says yes
}

TEST(UnicodeRegex, EmptyMatchesArePassedOver) {
  EXPECT_EQ(matches("a*", "baab"), (Strings{"aa"}));
  EXPECT_EQ(matches("a", ""), Strings{});
}

TEST(UnicodeRegex, ClassesAndEscapes) {
  EXPECT_EQ(matches(R"([\]\s]+)", "a] ]b"), (Strings{"] ]"}));
  EXPECT_EQ(matches(R"(\\s)", "a\\s b"), (Strings{"\\s"}));
  EXPECT_EQ(matches(R"([[:digit:]\s]+)", "a1 2b"), (Strings{"1 2"}));
  EXPECT_EQ(matches(R"((?i:'s|'ll))", "'S 'lL 'x"), (Strings{"'S", "'lL"}));
}

TEST(UnicodeRegex, WhatPcre2ReadsDifferentlyIsRefused) {
  for (const char* pattern : {"(a", R"([\p{L}&&[a]])", R"([a[bc]])", R"(\w+)", R"(a\b)", R"(\h)"}) {
    testing::expect_user_error([&] { UnicodeRegex regex(pattern); }, {pattern});
  }
}

}  // namespace
}  // namespace slotwise
