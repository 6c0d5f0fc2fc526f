// One registration of an op gives: each backend against a double-precision reference, its gradient
// against finite differences of that reference, equal bits in two runs, a bench entry with bytes
// and FLOPs, and a row in the support table. An op without a gradient says so by leaving `backward`
// empty.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace slotwise::testing {

using Tensors = std::vector<Tensor>;
using Doubles = std::vector<std::vector<double>>;

struct OpCase {
  std::string label;               // "3x64, gain, residual"
  Tensors inputs;                  // on the CPU; the harness moves them to the device under test
  std::vector<bool> has_gradient;  // per input
  // Runs the op's kernels on the device of the inputs; poisons nothing, allocates its outputs.
  std::function<Tensors(const Tensors& inputs)> forward;
  // Gradients of the inputs (undefined where has_gradient is false) from those of the outputs.
  std::function<Tensors(const Tensors& inputs, const Tensors& outputs, const Tensors& output_grads)>
      backward;
  // The op in double precision on the flattened inputs; integer inputs come as doubles.
  std::function<Doubles(const Doubles& inputs)> reference;
  std::vector<bool> output_has_gradient;  // empty: all f32 outputs
  double tolerance = 2e-6;                // on ||a - b|| / ||b|| per tensor
  double gradient_tolerance = 1e-5;
  DType operands = DType::f32;  // of its products: which GEMM rate the bench compares with
  double bytes = 0, flops = 0;  // of one forward, for the bench
  double backward_bytes = 0, backward_flops = 0;
  // What the bench times where `forward` sets up more than the op needs. It may change the inputs.
  std::function<void(const Tensors& inputs)> timed = nullptr;
};

struct Op {
  std::string name;
  std::function<std::vector<OpCase>()> test_cases;   // small, random and edge shapes
  std::function<std::vector<OpCase>()> bench_cases;  // with bytes; reference not needed there
  // May be empty. Sizes that take other paths on a GPU (several tiles, a second pass over columns):
  // compared with the CPU body only, so the reference is not needed.
  std::function<std::vector<OpCase>()> wide_cases = nullptr;
};

// Call at namespace scope: const bool registered = register_op({...});
bool register_op(Op op);
const std::vector<Op>& registered_ops();  // by name

// ||a - b|| / ||b||; ||a|| when b is all zero; infinity when a holds a NaN that b does not.
double relative_error(const Tensor& actual, const std::vector<double>& expected);
double relative_error(const std::vector<double>& actual, const std::vector<double>& expected);
std::vector<double> to_doubles(const Tensor& tensor);

// Reproducible test inputs.
Tensor random_normal(const Shape& shape, std::uint64_t seed, float std = 1.0f);
Tensor random_integers(const Shape& shape, std::uint64_t seed, std::int32_t bound);

}  // namespace slotwise::testing
