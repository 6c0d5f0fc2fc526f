#include "layers/parameter.h"

namespace slotwise {
namespace {

Tensor initial_value(const Shape& shape, Init init, const Random& random, const char* label) {
  Tensor value = Tensor::empty(shape, DType::f32, {}, label);
  switch (init.law) {
    case Init::Law::constant:
      fill(value, init.scale);
      break;
    case Init::Law::normal:
      fill_normal(value, init.scale, random);
      break;
    case Init::Law::uniform:
      fill_uniform(value, -init.scale, init.scale, random);
      break;
  }
  return value;
}

}  // namespace

Variable ParameterRegistry::create(const std::string& name, const Shape& shape, ParameterKind kind,
                                   Init init) {
  SLOTWISE_CHECK(find(name) == nullptr, "[parameters] '{}' exists already", name);
  const char* label = kind == ParameterKind::values ? "memory values" : "parameters";
  const Tensor value = seed_ ? initial_value(shape, init, Random(*seed_, "weights/" + name), label)
                             : Tensor::empty(shape, DType::f32, device_, label);
  Variable variable(value.to(device_, label), kind != ParameterKind::buffer);
  parameters_.push_back({name, kind, variable});
  return variable;
}

const Parameter* ParameterRegistry::find(std::string_view name) const {
  for (const Parameter& parameter : parameters_) {
    if (parameter.name == name) return &parameter;
  }
  return nullptr;
}

void ParameterRegistry::freeze_all() const {
  for (const Parameter& parameter : parameters_) parameter.variable.set_requires_grad(false);
}

std::int64_t ParameterRegistry::count() const {
  std::int64_t total = 0;
  for (const Parameter& parameter : parameters_) {
    if (parameter.kind != ParameterKind::buffer) total += parameter.variable.value().elements();
  }
  return total;
}

}  // namespace slotwise
