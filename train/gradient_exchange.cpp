#include "train/gradient_exchange.h"

#include <algorithm>
#include <chrono>

#include "core/gradient_math.h"
#include "core/trace.h"

namespace slotwise {
namespace {

constexpr std::int64_t kBucketElements = std::int64_t{1} << 20;

std::vector<std::int32_t> listed(const Tensor& touched) {
  const std::vector<std::uint8_t> marks = touched.to_vector<std::uint8_t>();
  std::vector<std::int32_t> rows;
  for (std::size_t row = 0; row < marks.size(); ++row) {
    if (marks[row] != 0) rows.push_back(static_cast<std::int32_t>(row));
  }
  return rows;
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
      tables_.push_back(i);
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

// All ranks run the same graph, so their buckets start in the same order.
void GradientExchange::gradient_ready(const Variable& variable) {
  const auto found = bucket_of_.find(variable.identity());
  if (found != bucket_of_.end()) {
    Bucket& bucket = buckets_[found->second];
    if (++bucket.ready == bucket.members.size()) start(bucket);
  }
  for (Bucket& bucket : buckets_) {
    if (bucket.reduction) bucket.reduction->done();
  }
}

void GradientExchange::end_round() {
  const TraceRange range("gradient_exchange");
  const auto begin = std::chrono::steady_clock::now();
  for (Bucket& bucket : buckets_) {
    if (!bucket.started) start(bucket);
  }
  for (const std::size_t table : tables_) exchange_rows(table);
  for (Bucket& bucket : buckets_) finish(bucket);
  total_.clear();
  exposed_seconds_ +=
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
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

std::vector<std::int32_t> GradientExchange::union_of(const std::vector<std::int32_t>& rows) const {
  const auto count = static_cast<std::int64_t>(rows.size());
  std::vector<std::int32_t> all;
  for (const Tensor& theirs : group_->all_gather(Tensor::from(rows, {count}))) {
    const auto list = theirs.span<std::int32_t>();
    all.insert(all.end(), list.begin(), list.end());
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

void GradientExchange::exchange_rows(std::size_t variable) {
  if (!variables_[variable].has_grad()) return;
  const TouchedRows own = variables_[variable].row_grad();
  const TouchedRows before = total_.empty() ? TouchedRows{} : total_[variable];
  // Some op could not say which rows it reached: then all have a gradient, on every rank.
  if (!own.touched.defined()) {
    group_->all_reduce_sum(own.gradient, before.gradient);
    return;
  }
  std::vector<std::int32_t> rows = listed(own.touched);
  if (before.touched.defined()) {
    const std::vector<std::int32_t> more = listed(before.touched);
    rows.insert(rows.end(), more.begin(), more.end());
  }
  rows = union_of(rows);
  const Tensor list = Tensor::from(rows, {static_cast<std::int64_t>(rows.size())},
                                   own.gradient.device(), "gradient exchange");
  const Tensor sum = packed_rows(own, list);
  group_->all_reduce_sum(sum, before.touched.defined() ? packed_rows(before, list) : Tensor());
  scatter_touched_rows(own, list, sum);
}

}  // namespace slotwise
