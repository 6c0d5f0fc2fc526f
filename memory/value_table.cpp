#include "memory/value_table.h"

namespace slotwise {

ValueTable make_value_table(ParameterRegistry& registry, const MemoryConfig& config, int index) {
  const std::string name = config.tables.size() == 1 ? "model.memory.values"
                                                     : fmt::format("model.memory.{}.values", index);
  return {registry.create(name, {config.slots(), config.value_dim}, ParameterKind::values,
                          Init::normal(config.value_std)),
          index};
}

}  // namespace slotwise
