// The value table: N rows of d_v, read by one or several memory layers.
#pragma once

#include "layers/parameter.h"
#include "memory/memory_config.h"

namespace slotwise {

struct ValueTable {
  Variable values;  // [N, d_v]
  int index = 0;    // into MemoryConfig::tables
};

// model.memory.values, or model.memory.P.values where there are several.
std::string value_table_name(const MemoryConfig& config, int index);
ValueTable make_value_table(ParameterRegistry& registry, const MemoryConfig& config, int index);

}  // namespace slotwise
