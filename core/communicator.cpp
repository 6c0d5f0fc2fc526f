#include "core/communicator.h"

namespace slotwise {
namespace {

class SingleProcess final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void all_reduce_sum(const Tensor& tensor) override { require(tensor); }
  void broadcast(const Tensor& tensor, int root) override {
    require(tensor);
    SLOTWISE_CHECK(root == 0, "[broadcast] expected root 0 in a group of one, got {}", root);
  }
  void barrier() override {}

 private:
  static void require(const Tensor& tensor) {
    SLOTWISE_CHECK(tensor.defined(), "[communicator] expected a tensor, got an undefined one");
  }
};

}  // namespace

std::shared_ptr<Communicator> single_process() {
  return std::make_shared<SingleProcess>();
}

}  // namespace slotwise
