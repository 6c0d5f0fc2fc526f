// When a run saves by itself.
#include "train/run_folder.h"

#include <gtest/gtest.h>

namespace slotwise::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(SaveClock, CountsFromTheEndOfASaveAndWaitsTwentyTimesItsCost) {
  const SaveClock::Time start{};
  SaveClock clock(start);
  EXPECT_FALSE(clock.due(start + seconds(59)));
  EXPECT_TRUE(clock.due(start + seconds(60)));
  EXPECT_TRUE(clock.due(start + seconds(61))) << "asking is not saving";
  SaveClock::Time end = start + seconds(111);
  clock.saved(start + seconds(61), end);  // 50 s
  EXPECT_FALSE(clock.due(end + seconds(999)));
  EXPECT_TRUE(clock.due(end + seconds(1000)));
  end += seconds(1001);
  clock.saved(end - milliseconds(10), end);
  EXPECT_FALSE(clock.due(end + seconds(59)));
  EXPECT_TRUE(clock.due(end + seconds(60)));
}

}  // namespace
}  // namespace slotwise::testing
