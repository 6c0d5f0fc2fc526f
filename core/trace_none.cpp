#include "core/trace.h"

namespace slotwise {

TraceRange::TraceRange(const char*) {}
TraceRange::~TraceRange() = default;

}  // namespace slotwise
