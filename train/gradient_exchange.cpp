#include "train/gradient_exchange.h"

#include <algorithm>
#include <bit>

#include "core/gradient_math.h"
#include "core/trace.h"

namespace slotwise {
namespace {

constexpr std::int64_t kBucketElements = std::int64_t{1} << 20;

// A bit for each touched row, 32 rows a number.
void add_marks(const Tensor& marks, const Tensor& touched) {
  const std::vector<std::uint8_t> rows = touched.to_vector<std::uint8_t>();
  std::int32_t* words = marks.data<std::int32_t>();
  for (std::size_t row = 0; row < rows.size(); ++row) {
    words[row / 32] |= std::int32_t{rows[row] != 0} << (row % 32);
  }
}

// The rows that some rank has marked. all: [ranks, words].
std::vector<std::int32_t> marked_rows(const Tensor& all, std::int64_t words) {
  std::vector<std::int32_t> rows;
  const std::int32_t* each = all.data<std::int32_t>();
  for (std::int64_t word = 0; word < words; ++word) {
    std::uint32_t marks = 0;
    for (std::int64_t at = word; at < all.elements(); at += words) {
      marks |= static_cast<std::uint32_t>(each[at]);
    }
    for (; marks != 0; marks &= marks - 1) {
      rows.push_back(static_cast<std::int32_t>(32 * word + std::countr_zero(marks)));
    }
  }
  return rows;
}

std::int64_t words_for(const Variable& table) {
  return (table.value().size(0) + 31) / 32;
}

// The tensors of some variables one behind the other.
template <class TensorOf>
Tensor pack(const std::vector<std::size_t>& members, std::int64_t elements, TensorOf&& tensor_of) {
  const Device device = tensor_of(members[0]).device();
  const Tensor all = Tensor::empty({elements}, DType::f32, device, "gradient exchange");
  std::int64_t at = 0;
  for (const std::size_t member : members) {
    const Tensor each = tensor_of(member);
    all.slice(at, at + each.elements()).copy_from(each.view({each.elements()}));
    at += each.elements();
  }
  return all;
}

Tensor packed_rows(const TouchedRows& from, const Tensor& rows) {
  const Tensor out = Tensor::empty({rows.elements(), from.gradient.size(1)}, DType::f32,
                                   rows.device(), "gradient exchange");
  gather_touched_rows(out, rows, from);
  return out;
}

}  // namespace

GradientExchange::GradientExchange(const std::vector<Parameter>& parameters,
                                   std::shared_ptr<Communicator> group)
    : group_(std::move(group)) {
  for (const Parameter& parameter : parameters) {
    if (parameter.variable.requires_grad()) variables_.push_back(parameter.variable);
  }
  // Backward comes to the last parameters first.
  for (std::size_t i = variables_.size(); i-- > 0;) {
    if (variables_[i].row_sparse()) {
      tables_.push_back({.variable = i, .marks = {}, .rows = {}, .sum = {}, .transfer = {}});
      continue;
    }
    const std::int64_t elements = variables_[i].value().elements();
    if (buckets_.empty() || buckets_.back().elements + elements > kBucketElements) {
      buckets_.emplace_back();
    }
    bucket_of_[variables_[i].identity()] = buckets_.size() - 1;
    buckets_.back().members.push_back(i);
    buckets_.back().elements += elements;
  }
}

void GradientExchange::begin_round() {
  total_.clear();
  const auto has = [](const Variable& variable) { return variable.has_grad(); };
  if (std::none_of(variables_.begin(), variables_.end(), has)) return;
  for (const Variable& variable : variables_) {
    total_.push_back(variable.has_grad() ? variable.take_row_grad() : TouchedRows{});
  }
}

RoundHooks GradientExchange::hooks() {
  return {.begin = [this] { begin_round(); },
          .end = [this] { end_round(); },
          .gradient_ready = [this](const Variable& variable) { gradient_ready(variable); }};
}

// All ranks run the same graph, so their buckets and tables start in the same order.
void GradientExchange::gradient_ready(const Variable& variable) {
  for (Table& table : tables_) {
    if (variables_[table.variable].identity() == variable.identity()) start_marks(table);
  }
  const auto found = bucket_of_.find(variable.identity());
  if (found != bucket_of_.end()) {
    Bucket& bucket = buckets_[found->second];
    if (++bucket.ready == bucket.members.size()) {
      start_rows();
      start(bucket);
    }
  }
  for (Bucket& bucket : buckets_) {
    if (bucket.reduction) bucket.reduction->done();
  }
  for (Table& table : tables_) {
    if (table.transfer) table.transfer->done();
  }
}

void GradientExchange::end_round() {
  const TraceRange range("gradient_exchange");
  for (Table& table : tables_) {
    if (!table.transfer) start_marks(table);  // backward did not name it
  }
  for (Bucket& bucket : buckets_) {
    if (!bucket.started) start(bucket);
  }
  start_rows();
  for (Bucket& bucket : buckets_) finish(bucket);
  for (Table& table : tables_) finish(table);
  total_.clear();
}

// Whether a parameter has a gradient is a matter of the model, so all ranks find the same members.
void GradientExchange::start(Bucket& bucket) {
  bucket.started = true;
  bucket.sent.clear();
  std::int64_t elements = 0;
  for (const std::size_t member : bucket.members) {
    if (!variables_[member].has_grad()) continue;
    bucket.sent.push_back(member);
    elements += variables_[member].value().elements();
  }
  if (bucket.sent.empty()) return;
  const auto gradient = [&](std::size_t member) { return variables_[member].grad(); };
  const auto earlier = [&](std::size_t member) { return total_[member].gradient; };
  if (bucket.sent.size() == 1) {  // summed where it lies
    bucket.sum = gradient(bucket.sent[0]);
    if (!total_.empty()) bucket.before = earlier(bucket.sent[0]);
  } else {
    bucket.sum = pack(bucket.sent, elements, gradient);
    if (!total_.empty()) bucket.before = pack(bucket.sent, elements, earlier);
  }
  bucket.reduction = group_->start_all_reduce_sum(bucket.sum, bucket.before);
}

void GradientExchange::finish(Bucket& bucket) {
  bucket.started = false;
  bucket.ready = 0;
  if (!bucket.reduction) return;
  bucket.reduction->wait();
  if (bucket.sent.size() > 1) {
    std::int64_t at = 0;
    for (const std::size_t member : bucket.sent) {
      const Tensor& gradient = variables_[member].grad();
      const std::int64_t end = at + gradient.elements();
      gradient.view({gradient.elements()}).copy_from(bucket.sum.slice(at, end));
      at = end;
    }
  }
  bucket.reduction.reset();
  bucket.sum = bucket.before = {};
}

void GradientExchange::start_marks(Table& table) {
  const Variable& variable = variables_[table.variable];
  if (!variable.has_grad()) return;
  const TouchedRows own = variable.row_grad();
  const TouchedRows before = total_.empty() ? TouchedRows{} : total_[table.variable];
  // Some op could not say which rows it reached: then all have a gradient, on every rank.
  if (!own.touched.defined()) {
    table.transfer = group_->start_all_reduce_sum(own.gradient, before.gradient);
    return;
  }
  const std::int64_t words = words_for(variable);
  const Tensor mine = Tensor::zeros({words}, DType::i32);
  add_marks(mine, own.touched);
  if (before.touched.defined()) add_marks(mine, before.touched);
  table.marks = Tensor::empty({words * group_->size()}, DType::i32);
  table.transfer = group_->start_all_gather(table.marks, mine);
}

void GradientExchange::start_rows() {
  for (Table& table : tables_) {
    if (!table.marks.defined()) continue;
    table.transfer->wait();
    const Variable& variable = variables_[table.variable];
    const TouchedRows own = variable.row_grad();
    const TouchedRows before = total_.empty() ? TouchedRows{} : total_[table.variable];
    const auto rows = marked_rows(table.marks, words_for(variable));
    table.marks = {};
    table.rows = Tensor::from(rows, {static_cast<std::int64_t>(rows.size())}, own.gradient.device(),
                              "gradient exchange");
    table.sum = packed_rows(own, table.rows);
    table.transfer = group_->start_all_reduce_sum(
        table.sum, before.touched.defined() ? packed_rows(before, table.rows) : Tensor());
  }
}

void GradientExchange::finish(Table& table) {
  if (!table.transfer) return;
  table.transfer->wait();
  if (table.rows.defined()) {
    scatter_touched_rows(variables_[table.variable].row_grad(), table.rows, table.sum);
  }
  table.transfer.reset();
  table.rows = table.sum = {};
}

}  // namespace slotwise
