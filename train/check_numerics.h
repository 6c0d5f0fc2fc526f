// --check-numerics: stops a run at the first value that is not finite, and says which op and layer
// made it. Every op is waited for, so a run with it is slow.
#pragma once

namespace slotwise {

// Checks while it lives, when `on`.
class CheckNumerics {
 public:
  explicit CheckNumerics(bool on);
  ~CheckNumerics();
  CheckNumerics(const CheckNumerics&) = delete;
  CheckNumerics& operator=(const CheckNumerics&) = delete;
};

}  // namespace slotwise
