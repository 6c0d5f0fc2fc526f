#include "train/check_numerics.h"

#include "core/numerics.h"
#include "kernels/elementwise.h"

namespace slotwise {
namespace {

void check(const TapeValue& at) {
  const Tensor& x = at.value.gradient;
  if (x.dtype() != DType::f32) return;
  const Tensor count = Tensor::empty({1}, DType::i32, x.device(), "check numerics");
  kernels::count_non_finite({.count = count, .x = x, .rows = at.value.touched});
  const std::int32_t wrong = count.to_vector<std::int32_t>()[0];
  if (wrong == 0) return;
  user_error("--check-numerics: the {} of op '{}' at {} holds {} of {} values that are not finite",
             at.backward ? "backward" : "forward", at.op, at.where.empty() ? "top" : at.where,
             wrong, x.elements());
}

}  // namespace

CheckNumerics::CheckNumerics(bool on) {
  if (on) set_numerics_check(check);
}

CheckNumerics::~CheckNumerics() {
  set_numerics_check(nullptr);
}

}  // namespace slotwise
