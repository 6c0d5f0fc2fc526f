// Named ranges for profilers (NVTX where its headers are found at build time, nothing otherwise).
#pragma once

namespace slotwise {

class TraceRange {
 public:
  explicit TraceRange(const char* name);
  ~TraceRange();
  TraceRange(const TraceRange&) = delete;
  TraceRange& operator=(const TraceRange&) = delete;
};

}  // namespace slotwise
