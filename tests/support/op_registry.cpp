#include "tests/support/op_registry.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/random.h"
#include "tests/support/names_only.h"

namespace slotwise::testing {
namespace {

// A function, because registrations run before main in an order that nobody promises.
std::vector<Op>& registry() {
  static std::vector<Op> ops;
  return ops;
}

template <class T>
std::vector<double> widened(const Tensor& tensor) {
  const std::vector<T> values = tensor.to_vector<T>();
  return std::vector<double>(values.begin(), values.end());
}

// The difference of two elements; equal infinities and NaNs in the same place are equal.
double distance(double actual, double expected) {
  if (std::isnan(actual) || std::isnan(expected)) {
    return std::isnan(actual) && std::isnan(expected) ? 0.0
                                                      : std::numeric_limits<double>::infinity();
  }
  return actual == expected ? 0.0 : actual - expected;
}

}  // namespace

bool register_op(Op op) {
  auto& ops = registry();
  const auto place = std::lower_bound(ops.begin(), ops.end(), op.name,
                                      [](const Op& a, const std::string& b) { return a.name < b; });
  SLOTWISE_CHECK(place == ops.end() || place->name != op.name, "op {} is registered twice",
                 op.name);
  ops.insert(place, std::move(op));
  return true;
}

const std::vector<Op>& registered_ops() {
  return registry();
}

std::vector<double> to_doubles(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::f32:
      return widened<float>(tensor);
    case DType::i32:
      return widened<std::int32_t>(tensor);
    case DType::i64:
      return widened<std::int64_t>(tensor);
    case DType::u8:
      return widened<std::uint8_t>(tensor);
    case DType::bf16:
      break;
  }
  std::vector<double> values;
  for (const BFloat16 value : tensor.to_vector<BFloat16>()) {
    values.push_back(static_cast<double>(static_cast<float>(value)));
  }
  return values;
}

double relative_error(const std::vector<double>& actual, const std::vector<double>& expected) {
  SLOTWISE_CHECK(actual.size() == expected.size(), "expected {} elements, got {}", expected.size(),
                 actual.size());
  double error = 0.0;
  double norm = 0.0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    error = std::hypot(error, distance(actual[i], expected[i]));
    if (std::isfinite(expected[i])) norm = std::hypot(norm, expected[i]);
  }
  return norm == 0.0 ? error : error / norm;
}

double relative_error(const Tensor& actual, const std::vector<double>& expected) {
  return relative_error(to_doubles(actual), expected);
}

Tensor random_normal(const Shape& shape, std::uint64_t seed, float std) {
  const Tensor out = Tensor::empty(shape, DType::f32, {}, "test input");
  if (NamesOnly::asked()) return out;
  // Inputs of benchmarks repeat every 2^18 elements: drawing them would take longer than the
  // benchmarks.
  constexpr std::int64_t kPeriod = 1 << 18;
  const Tensor flat = out.view({out.elements()});
  const Tensor drawn = flat.slice(0, std::min(kPeriod, out.elements()));
  fill_normal(drawn, std, Random(seed, "test normal"));
  for (std::int64_t at = kPeriod; at < out.elements(); at += kPeriod) {
    const std::int64_t count = std::min(kPeriod, out.elements() - at);
    flat.slice(at, at + count).copy_from(drawn.slice(0, count));
  }
  return out;
}

Tensor random_integers(const Shape& shape, std::uint64_t seed, std::int32_t bound) {
  if (NamesOnly::asked()) return Tensor::zeros(shape, DType::i32);
  const Tensor out = Tensor::empty(shape, DType::i32, {}, "test input");
  const Random random(seed, "test integers");
  std::uint64_t index = 0;
  for (std::int32_t& value : out.span<std::int32_t>()) {
    value = static_cast<std::int32_t>(
        random.below_at(index++, static_cast<std::uint64_t>(std::max(bound, 1))));
  }
  return out;
}

}  // namespace slotwise::testing
