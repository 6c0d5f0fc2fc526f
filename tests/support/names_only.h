// Cases of which only the labels, shapes and byte counts are wanted: a benchmark must know the
// names of all cases to choose among them, and drawing inputs of gigabytes would take far longer
// than the chosen ones.
#pragma once

namespace slotwise::testing {

// While one lives, random_normal() leaves its values unset and random_integers() gives zeros, in
// the thread that made it.
class NamesOnly {
 public:
  NamesOnly() { asked_ = true; }
  ~NamesOnly() { asked_ = false; }
  NamesOnly(const NamesOnly&) = delete;
  NamesOnly& operator=(const NamesOnly&) = delete;
  static bool asked() { return asked_; }

 private:
  static inline thread_local bool asked_ = false;
};

}  // namespace slotwise::testing
