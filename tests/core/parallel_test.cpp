// parallel_for: every item once, whatever the split, and what a part throws reaches the caller.
#include "core/parallel.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace slotwise {
namespace {

class Threads : public ::testing::TestWithParam<int> {
 protected:
  Threads() : before_(omp_get_max_threads()) { omp_set_num_threads(GetParam()); }
  ~Threads() override { omp_set_num_threads(before_); }

 private:
  int before_;
};

TEST_P(Threads, VisitEveryItemOnce) {
  for (const std::int64_t count : {0, 1, 2, 7, 1000}) {
    std::vector<int> visits(static_cast<std::size_t>(count), 0);
    parallel_for(count, 3, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
    });
    EXPECT_EQ(visits, std::vector<int>(visits.size(), 1));
  }
}

TEST_P(Threads, ThrowWhatTheLowestPartThrew) {
  const auto fail_from = [](std::int64_t first) {
    parallel_for(100, 1, [=](std::int64_t begin, std::int64_t end, int part) {
      if (end > first) throw std::runtime_error(std::to_string(part) + "/" + std::to_string(begin));
    });
  };
  std::string message;
  try {
    fail_from(0);
  } catch (const std::runtime_error& error) {
    message = error.what();
  }
  EXPECT_EQ(message, "0/0");
  EXPECT_THROW(fail_from(99), std::runtime_error);
  EXPECT_NO_THROW(fail_from(100));
}

INSTANTIATE_TEST_SUITE_P(Parallel, Threads, ::testing::Values(1, 2, 3));

}  // namespace
}  // namespace slotwise
