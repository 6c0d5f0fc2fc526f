// NVTX 3 is header-only: the calls cost a null check when no profiler is attached.
#include <nvtx3/nvToolsExt.h>

#include "core/trace_body.h"

namespace slotwise {

void begin_profiler_range(const char* text) {
  nvtxRangePushA(text);
}
void end_profiler_range() {
  nvtxRangePop();
}

}  // namespace slotwise
