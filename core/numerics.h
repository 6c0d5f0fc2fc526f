// A look at what every op of the tape makes, forward and backward, for --check-numerics: the first
// value that is not finite is found where it arises, not where it shows. Off, it costs a test of a
// flag.
#pragma once

#include <functional>
#include <string>

#include "core/row_gradient.h"

namespace slotwise {

struct TapeValue {
  const char* op;
  bool backward;      // a gradient of an input of the op, not its output
  std::string where;  // the ranges that were open in the forward (core/trace.h)
  TouchedRows value;  // rows that are not touched hold nothing
};

using NumericsCheck = std::function<void(const TapeValue&)>;

// Null: no check. One for the whole program.
void set_numerics_check(NumericsCheck check);
const NumericsCheck& numerics_check();

}  // namespace slotwise
