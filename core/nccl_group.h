// Ranks with a GPU each, over NCCL. Tensors of the host travel through the device.
#pragma once

#include <functional>
#include <span>

#include "core/communicator.h"

namespace slotwise {

struct NcclPlace {
  int rank = 0, ranks = 1;
  Device device;
  // Gives the root's bytes to all ranks (core/share_bytes.h, or MPI): how NCCL's id travels.
  std::function<void(std::span<char>)> share;
  // A group that carries the host's messages too, or null: it can tell which rank is silent, and
  // end them all. Its owner closes it.
  std::shared_ptr<Communicator> beside;
};

// UserError in a build without NCCL.
std::shared_ptr<Communicator> nccl_group(const NcclPlace& place, const GroupOptions& options);

}  // namespace slotwise
