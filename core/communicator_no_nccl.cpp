// In place of communicator_nccl.cpp where the build has no CUDA or no nccl.h.
#include "core/nccl_group.h"

namespace slotwise {

std::shared_ptr<Communicator> nccl_group(const NcclPlace&, const GroupOptions&) {
  user_error(
      "several ranks on GPUs need NCCL, and this build has none; configure with CUDA and nccl.h "
      "(libnccl-dev), or give --device cpu");
}

}  // namespace slotwise
