// Linear layer without bias, and the low-rank adapter that can be hung on it from outside.
#pragma once

#include <memory>
#include <string>

#include "layers/parameter.h"

namespace slotwise {

struct LowRankAdapter {
  Variable a;  // [rank, in]
  Variable b;  // [out, rank]
  float scale = 1.0f;
};

// A handle: copies share the weight and the adapter.
class Linear {
 public:
  Linear() = default;
  // weight: [out, in] under `name` + ".weight".
  Linear(ParameterRegistry& registry, const std::string& name, std::int64_t in, std::int64_t out,
         Init init);

  Variable operator()(const Variable& x) const;
  const Variable& weight() const { return state_->weight; }
  const std::string& name() const { return state_->name; }
  void set_adapter(std::shared_ptr<const LowRankAdapter> adapter) const;
  const LowRankAdapter* adapter() const { return state_->adapter.get(); }

 private:
  struct State {
    std::string name;
    Variable weight;
    std::shared_ptr<const LowRankAdapter> adapter;
  };
  std::shared_ptr<State> state_;
};

}  // namespace slotwise
