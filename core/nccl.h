// NCCL's functions, looked up when the first group of GPUs is made: a program that runs alone does
// not need the library. Only for files of a build with CUDA and nccl.h.
#pragma once

#include <nccl.h>

#define SLOTWISE_NCCL_FUNCTIONS(apply)                                                 \
  apply(ncclGetUniqueId) apply(ncclCommInitRankConfig) apply(ncclCommGetAsyncError)    \
      apply(ncclCommAbort) apply(ncclCommDestroy) apply(ncclGetErrorString)            \
          apply(ncclGetLastError) apply(ncclSend) apply(ncclRecv) apply(ncclAllReduce) \
              apply(ncclAllGather) apply(ncclBroadcast) apply(ncclGroupStart) apply(ncclGroupEnd)

namespace slotwise {

// Members are named as the functions.
struct Nccl {
#define SLOTWISE_MEMBER(name) decltype(&::name) name = nullptr;
  SLOTWISE_NCCL_FUNCTIONS(SLOTWISE_MEMBER)
#undef SLOTWISE_MEMBER
};

// Throws Error when the library cannot be loaded.
const Nccl& nccl();

}  // namespace slotwise
