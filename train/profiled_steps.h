// --profile-steps A:B: tells a profiler to record the steps A to B, as the log numbers them, and
// nothing else. See docs/profiling.md.
#pragma once

#include <cstdint>
#include <string>

#include "core/dtype.h"

namespace slotwise {

class ProfiledSteps {
 public:
  // Empty text: none. UserError when it is not A:B with 1 <= A <= B, or the device is no GPU.
  ProfiledSteps(const std::string& text, Device device);
  ~ProfiledSteps();
  ProfiledSteps(const ProfiledSteps&) = delete;
  ProfiledSteps& operator=(const ProfiledSteps&) = delete;

  void before(std::int64_t step);
  void after(std::int64_t step);

 private:
  std::int64_t first_ = 0, last_ = -1;
  bool recording_ = false;
};

}  // namespace slotwise
