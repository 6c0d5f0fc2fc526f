#include "kernels/cuda/cublaslt.h"

#include <dlfcn.h>

#include <string>

#include "core/error.h"

namespace slotwise::kernels::cuda {
namespace {

// By name, as the machine has it; else where the build found it.
void* open_library() {
  const std::string name = "libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR);
  void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) library = dlopen(SLOTWISE_CUBLASLT_PATH, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    fail(
        "[gemm] {} cannot be loaded ({}); install CUDA's cuBLAS or name its folder in "
        "LD_LIBRARY_PATH",
        name, dlerror());
  }
  return library;
}

template <class Function>
void find(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
  if (function == nullptr)
    fail("[gemm] libcublasLt has no {}; it must be CUDA 12.4 or newer", name);
}

CublasLt load() {
  void* library = open_library();
  CublasLt out;
#define SLOTWISE_FIND(name) find(library, #name, out.name);
  SLOTWISE_CUBLASLT_FUNCTIONS(SLOTWISE_FIND)
#undef SLOTWISE_FIND
  return out;
}

}  // namespace

const CublasLt& cublaslt() {
  static const CublasLt functions = load();
  return functions;
}

}  // namespace slotwise::kernels::cuda
