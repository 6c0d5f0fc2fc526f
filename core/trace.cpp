#include "core/trace.h"

#include <fmt/format.h>

#include <cstdio>
#include <vector>

#include "core/trace_body.h"

namespace slotwise {
namespace {

struct Entry {
  const char* name;
  std::int64_t number;
};

std::vector<Entry>& open_ranges() {
  static thread_local std::vector<Entry> ranges;
  return ranges;
}

}  // namespace

TraceRange::TraceRange(const char* name, std::int64_t number) {
  open_ranges().push_back({name, number});
  if (number < 0) {
    begin_profiler_range(name);
    return;
  }
  char text[64];
  std::snprintf(text, sizeof text, "%s %lld", name, static_cast<long long>(number));
  begin_profiler_range(text);
}

TraceRange::~TraceRange() {
  end_profiler_range();
  open_ranges().pop_back();
}

std::string trace_path() {
  std::string path;
  for (const Entry& entry : open_ranges()) {
    path += fmt::format("{}{}", path.empty() ? "" : " > ", entry.name);
    if (entry.number >= 0) path += fmt::format(" {}", entry.number);
  }
  return path;
}

}  // namespace slotwise
