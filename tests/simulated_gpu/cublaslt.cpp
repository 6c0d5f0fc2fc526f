// Column-major products as cuBLASLt defines them: D = alpha op(A) op(B) + beta C, in plain loops.
#include "kernels/cuda/cublaslt.h"

#include <cstring>

#include "core/bfloat16.h"

struct SimulatedMatmul {
  cublasOperation_t a = CUBLAS_OP_N, b = CUBLAS_OP_N;
};
struct SimulatedLayout {
  cudaDataType_t type;
  std::int64_t rows, columns, leading;

  float at(const void* data, std::int64_t row, std::int64_t column, cublasOperation_t how) const {
    const std::int64_t i = how == CUBLAS_OP_N ? row + column * leading : column + row * leading;
    if (type == CUDA_R_32F) return static_cast<const float*>(data)[i];
    return static_cast<float>(static_cast<const slotwise::BFloat16*>(data)[i]);
  }
};

namespace {
constexpr std::size_t kWorkspaceBytes = 1024;
int handle;
}  // namespace

const char* cublasLtGetStatusName(cublasStatus_t status) {
  return status == CUBLAS_STATUS_SUCCESS ? "CUBLAS_STATUS_SUCCESS" : "CUBLAS_STATUS_INVALID_VALUE";
}
const char* cublasLtGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_SUCCESS ? "success" : "an unsupported value or parameter";
}
cublasStatus_t cublasLtCreate(cublasLtHandle_t* out) {
  *out = &handle;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* out, cublasComputeType_t,
                                        cudaDataType_t) {
  *out = new SimulatedMatmul();
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t matmul) {
  delete matmul;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t matmul,
                                              cublasLtMatmulDescAttributes_t which,
                                              const void* value, std::size_t bytes) {
  if (bytes != sizeof(cublasOperation_t)) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(which == CUBLASLT_MATMUL_DESC_TRANSA ? &matmul->a : &matmul->b, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* out) {
  *out = &handle;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t) {
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t,
                                                    cublasLtMatmulPreferenceAttributes_t which,
                                                    const void*, std::size_t bytes) {
  const std::size_t expected = which == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES ? 8 : 4;
  return bytes == expected ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* out, cudaDataType_t type,
                                          std::uint64_t rows, std::uint64_t columns,
                                          std::int64_t leading) {
  *out = new SimulatedLayout{type, static_cast<std::int64_t>(rows),
                             static_cast<std::int64_t>(columns), leading};
  return leading >= static_cast<std::int64_t>(rows) ? CUBLAS_STATUS_SUCCESS
                                                    : CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
                                              cublasLtMatmulPreference_t, int,
                                              cublasLtMatmulHeuristicResult_t* result, int* found) {
  result->workspaceSize = kWorkspaceBytes;
  *found = 1;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t matmul, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t*,
                              void* workspace, std::size_t workspace_bytes, cudaStream_t) {
  const bool plain = matmul->a == CUBLAS_OP_N;
  const std::int64_t m = plain ? a_layout->rows : a_layout->columns;
  const std::int64_t k = plain ? a_layout->columns : a_layout->rows;
  const bool b_plain = matmul->b == CUBLAS_OP_N;
  const std::int64_t n = b_plain ? b_layout->columns : b_layout->rows;
  const bool fits = (b_plain ? b_layout->rows : b_layout->columns) == k && d_layout->rows == m &&
                    d_layout->columns == n && c_layout->rows == m && c_layout->columns == n &&
                    workspace != nullptr && workspace_bytes == kWorkspaceBytes;
  if (!fits) return CUBLAS_STATUS_INVALID_VALUE;
  std::memset(workspace, 0, workspace_bytes);
  const float factor = *static_cast<const float*>(alpha), keep = *static_cast<const float*>(beta);
  for (std::int64_t column = 0; column < n; ++column) {
    for (std::int64_t row = 0; row < m; ++row) {
      float sum = 0.0f;
      for (std::int64_t i = 0; i < k; ++i) {
        sum += a_layout->at(a, row, i, matmul->a) * b_layout->at(b, i, column, matmul->b);
      }
      const float before = keep == 0.0f ? 0.0f : keep * c_layout->at(c, row, column, CUBLAS_OP_N);
      static_cast<float*>(d)[row + column * d_layout->leading] = factor * sum + before;
    }
  }
  return CUBLAS_STATUS_SUCCESS;
}

namespace slotwise::kernels::cuda {

const CublasLt& cublaslt() {
  static const CublasLt functions = [] {
    CublasLt out;
#define SLOTWISE_TAKE(name) out.name = &::name;
    SLOTWISE_CUBLASLT_FUNCTIONS(SLOTWISE_TAKE)
#undef SLOTWISE_TAKE
    return out;
  }();
  return functions;
}

}  // namespace slotwise::kernels::cuda
