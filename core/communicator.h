// A group of processes that train together. One process is the trivial group; bodies over several
// processes fill the same verbs.
#pragma once

#include <memory>

#include "core/tensor.h"

namespace slotwise {

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual void all_reduce_sum(const Tensor& tensor) = 0;       // in place, f32 or i32
  virtual void broadcast(const Tensor& tensor, int root) = 0;  // in place
  virtual void barrier() = 0;
  bool is_root() const { return rank() == 0; }
};

std::shared_ptr<Communicator> single_process();

}  // namespace slotwise
