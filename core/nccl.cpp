#include "core/nccl.h"

#include <dlfcn.h>

#include "core/error.h"

namespace slotwise {
namespace {

template <class Function>
void find(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
  if (function == nullptr) fail("[nccl] libnccl has no {}; it must be NCCL 2.18 or newer", name);
}

Nccl load() {
  void* library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) library = dlopen(SLOTWISE_NCCL_PATH, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    fail(
        "[nccl] libnccl.so.2 cannot be loaded ({}); install NCCL or name its folder in "
        "LD_LIBRARY_PATH",
        dlerror());
  }
  Nccl out;
#define SLOTWISE_FIND(name) find(library, #name, out.name);
  SLOTWISE_NCCL_FUNCTIONS(SLOTWISE_FIND)
#undef SLOTWISE_FIND
  return out;
}

}  // namespace

const Nccl& nccl() {
  static const Nccl functions = load();
  return functions;
}

}  // namespace slotwise
