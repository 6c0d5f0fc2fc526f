#include "bench/memory_path_data.h"

#include <numeric>

#include "bench/access_slots.h"
#include "bench/limits.h"
#include "core/memory_pool.h"

namespace slotwise::bench {
namespace {

constexpr std::int32_t kBatches = 500;  // of the background that a sparse step ranks by

Tensor host_slots(Reads reads, const PathShape& shape, std::int64_t N, const AccessTrace* trace) {
  switch (reads) {
    case Reads::uniform:
      return uniform_slots({shape.tokens, shape.reads()}, N);
    case Reads::zipf:
      return zipf_slots({shape.tokens, shape.reads()}, N);
    case Reads::recorded:
      break;
  }
  return fitted(*trace, shape.tokens, shape.reads(), N);
}

Tensor filled(std::int64_t count, std::int32_t value, Device device) {
  return Tensor::from(std::vector<std::int32_t>(static_cast<std::size_t>(count), value), {count},
                      device);
}

}  // namespace

const char* name_of(Reads reads) {
  constexpr const char* kNames[] = {"uniform", "zipf", "recorded"};
  return kNames[static_cast<int>(reads)];
}

PathData::PathData(const PathShape& shape, std::optional<AccessTrace> trace)
    : shape_(shape), trace_(std::move(trace)) {}

const AccessData& PathData::accesses(Reads reads, std::int64_t N) {
  const auto found = accesses_.find({reads, N});
  if (found != accesses_.end()) return found->second;
  const Tensor slots = host_slots(reads, shape_, N, trace_ ? &*trace_ : nullptr);
  const Tensor touched = Tensor::zeros({N}, DType::u8);
  std::int64_t distinct = 0;
  for (const std::int32_t slot : slots.span<std::int32_t>()) {
    std::uint8_t& mark = touched.data<std::uint8_t>()[slot];
    distinct += mark == 0 ? 1 : 0;
    mark = 1;
  }
  return accesses_[{reads, N}] = {slots.to(shape_.device), touched.to(shape_.device), distinct};
}

TableData& PathData::table(std::int64_t N, std::int64_t D) {
  if (table_.N != N || table_.D != D) {
    table_ = {};
    MemoryPool::of(shape_.device).trim();
    table_.N = N;
    table_.D = D;
    table_.values = noise({N, D}, shape_.device, "values");
  }
  return table_;
}

const Tensor& PathData::need(TableData& table, Tensor TableData::*which, bool zero) {
  Tensor& tensor = table.*which;
  const Shape shape = {table.N, table.D};
  if (!tensor.defined()) {
    tensor = zero ? Tensor::zeros(shape, DType::f32, shape_.device, "table state")
                  : noise(shape, shape_.device, "table gradient");
  }
  return tensor;
}

Tensor PathData::weights() const {
  return noise({shape_.tokens, shape_.reads()}, shape_.device, "weights");
}

Tensor PathData::tokens(std::int64_t D) const {
  return noise({shape_.tokens, D}, shape_.device, "tokens");
}

SparseStepData PathData::sparse_step(std::int64_t N, std::int64_t D) const {
  const Device device = shape_.device;
  const Tensor slots = zipf_slots({shape_.tokens, shape_.reads()}, std::min(kReadSlots, N));
  for (std::int32_t& slot : slots.span<std::int32_t>()) {
    slot *= static_cast<std::int32_t>(std::max<std::int64_t>(1, N / kReadSlots));
  }
  const std::int64_t listed = std::min(N, shape_.accesses());
  SparseStepData out;
  out.slots = slots.to(device);
  out.weights = weights();
  out.dy = tokens(D);
  out.counts = Tensor::zeros({N}, DType::i32, device);
  out.touched = filled(listed, -1, device);
  out.touched_count = Tensor::zeros({1}, DType::i32, device);
  out.scores = Tensor::zeros({listed}, DType::f32, device);
  const Tensor df = uniform_slots({N}, kBatches + 1);
  out.df = df.to(device);
  out.idf = noise({kBatches + 1}, device);
  out.selected = filled(shape_.chosen, -1, device);
  out.row_of_slot = filled(N, -1, device);
  out.gradient = Tensor::zeros({shape_.chosen, D}, DType::f32, device);
  out.first_moment = Tensor::zeros({shape_.chosen, D}, DType::f32, device);
  out.second_moment = Tensor::zeros({shape_.chosen, D}, DType::f32, device);
  out.steps = Tensor::zeros({shape_.chosen}, DType::i32, device);
  std::vector<std::int32_t> rows(static_cast<std::size_t>(shape_.chosen));
  std::iota(rows.begin(), rows.end(), 0);
  out.state_row = Tensor::from(rows, {shape_.chosen}, device);
  return out;
}

}  // namespace slotwise::bench
