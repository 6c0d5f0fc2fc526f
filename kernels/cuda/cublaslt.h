// cuBLASLt's functions, looked up when the first product asks for them. The library is half a
// gigabyte: linked, it would cost every start of a program a sixth of a second (seconds when it is
// not in the page cache), also of those that stay on the CPU.
#pragma once

#include <cublasLt.h>

#define SLOTWISE_CUBLASLT_FUNCTIONS(apply)                                                        \
  apply(cublasLtCreate) apply(cublasLtGetStatusName) apply(cublasLtGetStatusString)               \
      apply(cublasLtMatmul) apply(cublasLtMatmulAlgoGetHeuristic) apply(cublasLtMatmulDescCreate) \
          apply(cublasLtMatmulDescSetAttribute) apply(cublasLtMatmulPreferenceCreate)             \
              apply(cublasLtMatmulPreferenceDestroy) apply(cublasLtMatmulPreferenceSetAttribute)  \
                  apply(cublasLtMatrixLayoutCreate) apply(cublasLtMatrixLayoutDestroy)            \
                      apply(cublasLtMatmulDescDestroy)

namespace slotwise::kernels::cuda {

// Members are named as the functions.
struct CublasLt {
#define SLOTWISE_MEMBER(name) decltype(&::name) name = nullptr;
  SLOTWISE_CUBLASLT_FUNCTIONS(SLOTWISE_MEMBER)
#undef SLOTWISE_MEMBER
};

// Throws Error when the library cannot be loaded.
const CublasLt& cublaslt();

}  // namespace slotwise::kernels::cuda
