#include "layers/linear.h"

#include "layers/functional/linear.h"

namespace slotwise {

Linear::Linear(ParameterRegistry& registry, const std::string& name, std::int64_t in,
               std::int64_t out, Init init)
    : state_(std::make_shared<State>()) {
  state_->name = name;
  state_->weight = registry.create(name + ".weight", {out, in}, ParameterKind::matrix, init);
}

Variable Linear::operator()(const Variable& x) const {
  if (const LowRankAdapter* low_rank = adapter()) {
    return low_rank_linear(x, weight(), low_rank->a, low_rank->b, low_rank->scale);
  }
  return linear(x, weight());
}

void Linear::set_adapter(std::shared_ptr<const LowRankAdapter> adapter) const {
  state_->adapter = std::move(adapter);
}

}  // namespace slotwise
