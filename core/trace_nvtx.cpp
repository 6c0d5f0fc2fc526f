// NVTX 3 is header-only: the calls cost a null check when no profiler is attached.
#include <nvtx3/nvToolsExt.h>

#include "core/trace.h"

namespace slotwise {

TraceRange::TraceRange(const char* name) {
  nvtxRangePushA(name);
}
TraceRange::~TraceRange() {
  nvtxRangePop();
}

}  // namespace slotwise
