#include "data/unicode_lower.h"

#include <gtest/gtest.h>

namespace slotwise {
namespace {

TEST(UnicodeLower, MapsTheFirstAndLastOfARangeAndNothingBeside) {
  EXPECT_EQ(lower_code_point(U'A'), U'a');
  EXPECT_EQ(lower_code_point(U'Z'), U'z');
  EXPECT_EQ(lower_code_point(U'@'), U'@');
  EXPECT_EQ(lower_code_point(U'['), U'[');
  EXPECT_EQ(lower_code_point(U'\u00D7'), U'\u00D7');  // the multiplication sign among the capitals
  EXPECT_EQ(lower_code_point(U'\u0100'), U'\u0101');
  EXPECT_EQ(lower_code_point(U'\u0101'), U'\u0101');  // every second one is small already
  EXPECT_EQ(lower_code_point(U'\u2126'), U'\u03C9');  // the ohm sign, far from omega
  EXPECT_EQ(lower_code_point(U'\U0010FFFF'), U'\U0010FFFF');
}

TEST(UnicodeLower, IsIdempotentAndKnowsAllCapitals) {
  int changed = 0;
  for (char32_t c = 0; c < 0x110000; ++c) {
    const char32_t small = lower_code_point(c);
    ASSERT_EQ(lower_code_point(small), small);
    changed += small != c;
  }
  EXPECT_EQ(changed, 1432);
}

}  // namespace
}  // namespace slotwise
