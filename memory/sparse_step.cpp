#include "memory/sparse_step.h"

#include "core/trace.h"
#include "kernels/slot_statistics.h"
#include "kernels/weighted_bag.h"

namespace slotwise {

SparseStep::SparseStep(MemoryModel& model, std::shared_ptr<SlotSelector> selector,
                       std::int64_t rows_per_table)
    : model_(model),
      selector_(std::move(selector)),
      rows_per_table_(rows_per_table),
      kept_(model.tables().size()),
      accessed_(Tensor::zeros({static_cast<std::int64_t>(model.tables().size())}, DType::i32,
                              model.device(), "slot counts")) {
  if (model.tables().empty()) {
    user_error("sparse memory finetuning needs a model with a memory layer; this one has none");
  }
  const std::int64_t slots = model.config().memory.slots();
  for (std::size_t i = 0; i < model.tables().size(); ++i) {
    counters_.emplace_back(slots, model.device());
    const std::vector<std::int32_t> none(static_cast<std::size_t>(slots), -1);
    row_of_slot_.push_back(Tensor::from(none, {slots}, model.device(), "slot map"));
  }
  model.hooks().expect_unwatched();
  set_active(true);
}

SparseStep::~SparseStep() {
  set_active(false);
}

void SparseStep::set_active(bool active) {
  MemoryHooks& hooks = model_.hooks();
  if (!active) {
    hooks.on_access = nullptr;
    hooks.keep = nullptr;
    return;
  }
  hooks.on_access = [this](const Access& access) {
    counters_[static_cast<std::size_t>(access.table)].add(access.slots, access.valid);
    selector_->observe(access);
  };
  hooks.keep = [this](int table, const KeptBag& bag) {
    kept_[static_cast<std::size_t>(table)].push_back(bag);
  };
}

RowGradient SparseStep::reduce(int table, const Tensor& rows) {
  const auto t = static_cast<std::size_t>(table);
  const Tensor& map = row_of_slot_[t];
  Tensor gradient = Tensor::zeros({rows.size(0), model_.tables()[t].values.value().size(1)},
                                  DType::f32, model_.device(), "selected row gradient");
  kernels::map_slots({.map = map, .slots = rows});
  for (const KeptBag& bag : kept_[t]) {
    kernels::selected_row_gradient({.gradient = {gradient, true},
                                    .dy = bag.gradient,
                                    .slots = bag.slots,
                                    .weights = bag.weights,
                                    .row_of_slot = map});
  }
  kernels::map_slots({.map = map, .slots = rows, .clear = true});
  return {rows, gradient};
}

std::vector<RowGradient> SparseStep::finish(std::int64_t step) {
  const TraceRange range("sparse_step");
  std::vector<RowGradient> out;
  for (std::size_t t = 0; t < counters_.size(); ++t) {
    const int table = static_cast<int>(t);
    accessed_.slice(table, table + 1).copy_from(counters_[t].list().count);
    const Tensor rows = selector_->select(table, counters_[t], rows_per_table_, step);
    out.push_back(reduce(table, rows));
    kept_[t].clear();
    counters_[t].clear();
  }
  return out;
}

}  // namespace slotwise
