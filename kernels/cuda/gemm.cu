// Matrix product by cuBLASLt. Its matrices are column-major: a row-major C [m, n] is a column-major
// C^T [n, m], and C^T = op(B)^T op(A)^T, so the operands change places and nothing is transposed.
// The heuristic's choice is kept by shape, so that it is asked once. Sums are fp32, with fp32 or
// bf16 operands; fp32 means fp32: no TF32. cuBLASLt gives the same bits for the same choice on the
// same GPU, all work being on one stream.
#include "kernels/gemm.h"

#include <map>
#include <memory>
#include <mutex>
#include <tuple>

#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/launch.h"
#include "kernels/elementwise.h"

namespace slotwise::kernels::cuda {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{32} << 20;  // what NVIDIA advises for Hopper

void check_blas(cublasStatus_t status, const char* call) {
  SLOTWISE_CHECK(status == CUBLAS_STATUS_SUCCESS, "[gemm] {}: {} ({})", call,
                 cublaslt().cublasLtGetStatusString(status),
                 cublaslt().cublasLtGetStatusName(status));
}
#define SLOTWISE_BLAS(call) check_blas((call), #call)

// In cuBLASLt's order: its first operand is our B.
struct Shape3 {
  int device;
  std::int64_t m, n, k;  // of the column-major product
  bool transpose_first, transpose_second;
  bool narrow;  // operands in bf16
  std::uint32_t align_first, align_second, align_c;
  auto key() const {
    return std::tie(device, m, n, k, transpose_first, transpose_second, narrow, align_first,
                    align_second, align_c);
  }
  bool operator<(const Shape3& other) const { return key() < other.key(); }
};

struct Plan {
  Plan() = default;
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan() {
    for (const cublasLtMatrixLayout_t layout : {first, second, c}) {
      if (layout != nullptr) cublaslt().cublasLtMatrixLayoutDestroy(layout);
    }
    if (operation != nullptr) cublaslt().cublasLtMatmulDescDestroy(operation);
  }

  cublasLtMatmulDesc_t operation = nullptr;
  cublasLtMatrixLayout_t first = nullptr, second = nullptr, c = nullptr;
  cublasLtMatmulAlgo_t algorithm = {};
  std::size_t workspace_bytes = 0;
};

cublasLtMatrixLayout_t make_layout(cudaDataType_t type, std::int64_t rows, std::int64_t columns) {
  cublasLtMatrixLayout_t layout = nullptr;
  SLOTWISE_BLAS(cublaslt().cublasLtMatrixLayoutCreate(
      &layout, type, static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns), rows));
  return layout;
}

template <class T>
void prefer(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t what,
            T value) {
  SLOTWISE_BLAS(
      cublaslt().cublasLtMatmulPreferenceSetAttribute(preference, what, &value, sizeof(value)));
}

void choose_algorithm(cublasLtHandle_t handle, const Shape3& shape, Plan& plan) {
  cublasLtMatmulPreference_t preference = nullptr;
  SLOTWISE_BLAS(cublaslt().cublasLtMatmulPreferenceCreate(&preference));
  prefer(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
  prefer(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, shape.align_first);
  prefer(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, shape.align_second);
  prefer(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, shape.align_c);
  prefer(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, shape.align_c);
  cublasLtMatmulHeuristicResult_t best = {};
  int found = 0;
  const cublasStatus_t status =
      cublaslt().cublasLtMatmulAlgoGetHeuristic(handle, plan.operation, plan.first, plan.second,
                                                plan.c, plan.c, preference, 1, &best, &found);
  cublaslt().cublasLtMatmulPreferenceDestroy(preference);
  check_blas(status, "cublasLtMatmulAlgoGetHeuristic");
  SLOTWISE_CHECK(found == 1, "[gemm] cuBLASLt knows no way to multiply [{}, {}] by [{}, {}]",
                 shape.n, shape.k, shape.k, shape.m);
  plan.algorithm = best.algo;
  plan.workspace_bytes = best.workspaceSize;
}

std::shared_ptr<const Plan> make_plan(cublasLtHandle_t handle, const Shape3& shape) {
  const auto made = std::make_shared<Plan>();
  Plan& plan = *made;
  SLOTWISE_BLAS(
      cublaslt().cublasLtMatmulDescCreate(&plan.operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  const auto transpose = [&](cublasLtMatmulDescAttributes_t which, bool wanted) {
    const cublasOperation_t value = wanted ? CUBLAS_OP_T : CUBLAS_OP_N;
    SLOTWISE_BLAS(
        cublaslt().cublasLtMatmulDescSetAttribute(plan.operation, which, &value, sizeof(value)));
  };
  transpose(CUBLASLT_MATMUL_DESC_TRANSA, shape.transpose_first);
  transpose(CUBLASLT_MATMUL_DESC_TRANSB, shape.transpose_second);
  const cudaDataType_t type = shape.narrow ? CUDA_R_16BF : CUDA_R_32F;
  plan.first = shape.transpose_first ? make_layout(type, shape.k, shape.m)
                                     : make_layout(type, shape.m, shape.k);
  plan.second = shape.transpose_second ? make_layout(type, shape.n, shape.k)
                                       : make_layout(type, shape.k, shape.n);
  plan.c = make_layout(CUDA_R_32F, shape.m, shape.n);
  choose_algorithm(handle, shape, plan);
  return made;
}

// One handle a device and the plans of the shapes seen. Packed batches have another number of
// tokens in every step: when the plans are many, all are let go, and those in use come back.
struct Library {
  static constexpr std::size_t kMostPlans = 8192;

  std::mutex mutex;
  std::map<int, cublasLtHandle_t> handles;
  std::map<Shape3, std::shared_ptr<const Plan>> plans;

  static Library& instance() {
    static auto* library = new Library();
    return *library;
  }

  std::pair<cublasLtHandle_t, std::shared_ptr<const Plan>> get(const Shape3& shape) {
    const std::lock_guard lock(mutex);
    cublasLtHandle_t& handle = handles[shape.device];
    if (handle == nullptr) SLOTWISE_BLAS(cublaslt().cublasLtCreate(&handle));
    auto found = plans.find(shape);
    if (found != plans.end()) return {handle, found->second};
    if (plans.size() >= kMostPlans) plans.clear();
    return {handle, plans.emplace(shape, make_plan(handle, shape)).first->second};
  }
};

// Of a pointer, up to the 256 bytes that the pool gives: slices may begin anywhere.
std::uint32_t alignment(const void* pointer) {
  std::uint32_t bytes = 256;
  while (reinterpret_cast<std::uintptr_t>(pointer) % bytes != 0) bytes /= 2;
  return bytes;
}

}  // namespace

void gemm(const Gemm& args) {
  if (args.c.elements() == 0) return;
  const std::int64_t k = args.transpose_a ? args.a.size(0) : args.a.size(1);
  if (k == 0) {  // an empty sum
    if (args.beta == 0.0f) return args.c.zero();
    return cuda::scale({.out = {args.c}, .x = args.c, .factor = args.beta});
  }
  const cudaStream_t queue = stream(args.c);
  const void* a = args.a.raw();
  const void* b = args.b.raw();
  float* c = args.c.data<float>();
  const auto [handle, plan] = Library::instance().get({.device = args.c.device().index,
                                                       .m = args.c.size(1),
                                                       .n = args.c.size(0),
                                                       .k = k,
                                                       .transpose_first = args.transpose_b,
                                                       .transpose_second = args.transpose_a,
                                                       .narrow = args.a.dtype() == DType::bf16,
                                                       .align_first = alignment(b),
                                                       .align_second = alignment(a),
                                                       .align_c = alignment(c)});
  Tensor workspace;
  if (plan->workspace_bytes > 0) {
    workspace = Tensor::empty({static_cast<std::int64_t>(plan->workspace_bytes)}, DType::u8,
                              args.c.device(), "gemm workspace");
  }
  SLOTWISE_BLAS(cublaslt().cublasLtMatmul(
      handle, plan->operation, &args.alpha, b, plan->first, a, plan->second, &args.beta, c, plan->c,
      c, plan->c, &plan->algorithm, workspace.defined() ? workspace.raw() : nullptr,
      plan->workspace_bytes, queue));
}

#undef SLOTWISE_BLAS

}  // namespace slotwise::kernels::cuda
