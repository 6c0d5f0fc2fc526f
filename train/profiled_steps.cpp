#include "train/profiled_steps.h"

#include <charconv>

#include "core/devices.h"
#include "core/error.h"

namespace slotwise {
namespace {

bool read_number(std::string_view text, std::int64_t& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end;
}

}  // namespace

ProfiledSteps::ProfiledSteps(const std::string& text, Device device) {
  if (text.empty()) return;
  const std::string_view all = text;
  const std::size_t colon = all.find(':');
  const bool read = colon != all.npos && read_number(all.substr(0, colon), first_) &&
                    read_number(all.substr(colon + 1), last_);
  if (!read || first_ < 1 || last_ < first_) {
    user_error("--profile-steps takes the first and the last step, as in 10:12, got '{}'", text);
  }
  if (!device.is_cuda()) {
    user_error("--profile-steps is for a profiler of GPUs, and this run is on the {}; leave it out",
               name_of(device.type));
  }
}

ProfiledSteps::~ProfiledSteps() {
  try {
    if (recording_) cuda::stop_profiler();
  } catch (const std::exception&) {
    // The program is ending: a recording that was cut short says so itself.
  }
}

void ProfiledSteps::before(std::int64_t step) {
  if (step < first_ || step > last_ || recording_) return;
  cuda::start_profiler();
  recording_ = true;
}

void ProfiledSteps::after(std::int64_t step) {
  if (!recording_ || step < last_) return;
  cuda::stop_profiler();
  recording_ = false;
}

}  // namespace slotwise
