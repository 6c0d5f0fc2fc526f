// Parameters by name. A registry owns the list of a model's parameters and buffers in a fixed
// order; names are Hugging Face's where those exist. Initial values come from a random stream named
// after the parameter, so adding one never changes another.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/random.h"
#include "core/variable.h"

namespace slotwise {

enum class ParameterKind {
  matrix,     // weights of linear layers, keys
  embedding,  // token embedding
  vector,     // gains, biases, alpha: no weight decay
  values,     // a table of memory values: own rate, own clip group, no decay
  buffer,     // state that no optimizer touches (running statistics)
};

struct Init {
  enum class Law { constant, normal, uniform };
  Law law = Law::constant;
  float scale = 0.0f;  // the constant, the standard deviation, or the bound

  static Init constant(float value) { return {Law::constant, value}; }
  static Init normal(double std) { return {Law::normal, static_cast<float>(std)}; }
  static Init uniform(double bound) { return {Law::uniform, static_cast<float>(bound)}; }
};

struct Parameter {
  std::string name;
  ParameterKind kind = ParameterKind::matrix;
  Variable variable;
};

class ParameterRegistry {
 public:
  // Without a seed no initial values are drawn: for a model whose values a file fills.
  ParameterRegistry(std::optional<std::uint64_t> seed, Device device)
      : seed_(seed), device_(device) {}

  // Makes and initialises a parameter. Names must be new.
  Variable create(const std::string& name, const Shape& shape, ParameterKind kind, Init init);
  const std::vector<Parameter>& all() const { return parameters_; }
  const Parameter* find(std::string_view name) const;  // null when there is none
  void freeze_all() const;                             // nothing requires a gradient any more
  std::int64_t count() const;                          // elements of all parameters, buffers not
  Device device() const { return device_; }

 private:
  std::optional<std::uint64_t> seed_;
  Device device_;
  std::vector<Parameter> parameters_;
};

}  // namespace slotwise
