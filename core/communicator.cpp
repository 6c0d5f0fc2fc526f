#include "core/communicator.h"

#include <algorithm>

#include "core/gradient_math.h"

namespace slotwise {
namespace {

class Finished final : public Transfer {
 public:
  bool done() override { return true; }
  void wait() override {}
};

class SingleProcess final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void barrier() override {}

 private:
  std::unique_ptr<Transfer> start_sum(const Tensor& tensor, const Tensor& before) override {
    if (before.defined()) write_gradient({tensor, true}, before);
    return std::make_unique<Finished>();
  }
  void spread(const Tensor&, int, Patience) override {}
  std::vector<Tensor> gather(const Tensor& mine) override { return {mine}; }
  std::unique_ptr<Transfer> start_gather(const Tensor& all, const Tensor& mine) override {
    all.copy_from(mine);
    return std::make_unique<Finished>();
  }
};

void require(const Tensor& tensor) {
  SLOTWISE_CHECK(tensor.defined(), "[communicator] expected a tensor, got an undefined one");
}

void require_numbers(const Tensor& mine) {
  require(mine);
  SLOTWISE_CHECK(mine.dtype() == DType::i32 && mine.device().is_cpu(),
                 "[communicator] expected i32 on the host to gather, got {} on {}",
                 name_of(mine.dtype()), name_of(mine.device().type));
}

}  // namespace

void Communicator::count(Verb verb, std::int64_t bytes) {
  Traffic& traffic = sent_[static_cast<std::size_t>(verb)];
  ++traffic.calls;
  traffic.bytes += bytes;
}

std::unique_ptr<Transfer> Communicator::start_all_reduce_sum(const Tensor& tensor,
                                                             const Tensor& before) {
  require(tensor);
  const DType dtype = tensor.dtype();
  SLOTWISE_CHECK(dtype == DType::f32 || dtype == DType::i32 || dtype == DType::i64,
                 "[communicator] expected f32, i32 or i64 to sum, got {}", name_of(dtype));
  SLOTWISE_CHECK(
      !before.defined() || (dtype == DType::f32 && before.dtype() == dtype &&
                            before.shape() == tensor.shape() && before.device() == tensor.device()),
      "[communicator] expected a beginning like the tensor {}, got {} {}", tensor.shape().text(),
      name_of(before.dtype()), before.shape().text());
  return start_sum(tensor, before);
}

void Communicator::all_reduce_sum(const Tensor& tensor, const Tensor& before) {
  start_all_reduce_sum(tensor, before)->wait();
}

void Communicator::broadcast(const Tensor& tensor, int root, Patience patience) {
  require(tensor);
  SLOTWISE_CHECK(root >= 0 && root < size(), "[communicator] expected a root below {}, got {}",
                 size(), root);
  spread(tensor, root, patience);
}

std::vector<Tensor> Communicator::all_gather(const Tensor& mine) {
  require_numbers(mine);
  return gather(mine);
}

std::unique_ptr<Transfer> Communicator::start_all_gather(const Tensor& all, const Tensor& mine) {
  require_numbers(mine);
  require_numbers(all);
  SLOTWISE_CHECK(all.elements() == mine.elements() * size(),
                 "[communicator] expected room for {} x {} elements to gather, got {}", size(),
                 mine.elements(), all.elements());
  return start_gather(all, mine);
}

std::shared_ptr<Communicator> single_process() {
  return std::make_shared<SingleProcess>();
}

Segment segment_of(std::int64_t count, int rank, int ranks) {
  return {count * rank / ranks, count * (rank + 1) / ranks};
}

Segment piece_of(const Segment& whole, std::int64_t first, std::int64_t most) {
  const std::int64_t begin = std::min(whole.begin + first, whole.end);
  return {begin, std::min(begin + most, whole.end)};
}

}  // namespace slotwise
