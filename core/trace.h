// Named ranges for profilers (NVTX where its headers are found at build time, nothing otherwise),
// and for messages that say where in a model something happened: step, phase, layer, part, op.
#pragma once

#include <cstdint>
#include <string>

namespace slotwise {

class TraceRange {
 public:
  // `name` is a string literal; "layer", 3 reads "layer 3".
  explicit TraceRange(const char* name, std::int64_t number = -1);
  ~TraceRange();
  TraceRange(const TraceRange&) = delete;
  TraceRange& operator=(const TraceRange&) = delete;
};

// The ranges open on this thread, the outermost first: "step 12 > forward > layer 3 > attention".
std::string trace_path();

}  // namespace slotwise
