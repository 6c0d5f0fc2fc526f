#include "memory/sparse_step.h"

#include "core/trace.h"
#include "kernels/slot_statistics.h"
#include "kernels/weighted_bag.h"

namespace slotwise {

SparseStep::SparseStep(MemoryModel& model, std::shared_ptr<SlotSelector> selector,
                       std::int64_t rows_per_table, std::shared_ptr<Communicator> group)
    : model_(model),
      selector_(std::move(selector)),
      rows_per_table_(rows_per_table),
      group_(std::move(group)),
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
  MemoryHooks& hooks = model.hooks();
  hooks.expect_unwatched();
  hooks.on_access = [this](const Access& access) {
    counters_[static_cast<std::size_t>(access.table)].add(access.slots, access.valid);
    selector_->observe(access);
  };
  hooks.keep = [this](int table, const KeptBag& bag) {
    kept_[static_cast<std::size_t>(table)].push_back({rounds_, bag});
  };
}

SparseStep::~SparseStep() {
  model_.hooks().on_access = nullptr;
  model_.hooks().keep = nullptr;
}

void SparseStep::begin_round() {
  ++rounds_;
}

// Needs the rows' places in row_of_slot_.
Tensor SparseStep::reduce_round(std::size_t table, std::size_t round, const Tensor& rows) {
  Tensor gradient = Tensor::zeros({rows.size(0), model_.tables()[table].values.value().size(1)},
                                  DType::f32, model_.device(), "selected row gradient");
  for (const auto& [kept_in, bag] : kept_[table]) {
    if (kept_in != round) continue;
    kernels::selected_row_gradient({.gradient = {gradient, true},
                                    .dy = bag.gradient,
                                    .slots = bag.slots,
                                    .weights = bag.weights,
                                    .row_of_slot = row_of_slot_[table]});
  }
  return gradient;
}

RowGradient SparseStep::reduce(int table, const Tensor& rows) {
  const auto t = static_cast<std::size_t>(table);
  kernels::map_slots({.map = row_of_slot_[t], .slots = rows});
  Tensor total;
  const std::size_t first = rounds_ == 0 ? 0 : 1;
  for (std::size_t round = first; round <= rounds_; ++round) {
    const Tensor gradient = reduce_round(t, round, rows);
    group_->all_reduce_sum(gradient, total);
    total = gradient;
  }
  kernels::map_slots({.map = row_of_slot_[t], .slots = rows, .clear = true});
  return {rows, total};
}

std::vector<RowGradient> SparseStep::finish(std::int64_t step) {
  const TraceRange range("sparse_step");
  selector_->share(*group_);
  std::vector<RowGradient> out;
  for (std::size_t t = 0; t < counters_.size(); ++t) {
    const int table = static_cast<int>(t);
    counters_[t].share(*group_);
    accessed_.slice(table, table + 1).copy_from(counters_[t].list().count);
    const Tensor rows = selector_->select(table, counters_[t], rows_per_table_, step);
    out.push_back(reduce(table, rows));
    kept_[t].clear();
    counters_[t].clear();
  }
  rounds_ = 0;
  return out;
}

}  // namespace slotwise
