// What a profiler is told of a range. CMake chooses the file.
#pragma once

namespace slotwise {

void begin_profiler_range(const char* text);
void end_profiler_range();

}  // namespace slotwise
