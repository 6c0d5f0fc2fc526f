#include "memory/value_table.h"

namespace slotwise {

std::string value_table_name(const MemoryConfig& config, int index) {
  return config.tables.size() == 1 ? "model.memory.values"
                                   : fmt::format("model.memory.{}.values", index);
}

ValueTable make_value_table(ParameterRegistry& registry, const MemoryConfig& config, int index) {
  const Variable values =
      registry.create(value_table_name(config, index), {config.slots(), config.value_dim},
                      ParameterKind::values, Init::normal(config.value_std));
  values.set_row_sparse();
  return {values, index};
}

}  // namespace slotwise
