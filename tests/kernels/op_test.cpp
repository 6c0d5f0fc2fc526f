// Every registered op, every case: outputs against the double-precision reference, gradients
// against central differences of L = sum(output * random), equal bits in two runs, all with one and
// two threads.
#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <limits>
#include <string>

#include "tests/support/op_check.h"

namespace slotwise::testing {
namespace {

constexpr double kDifferenceStep = 1e-5;  // in double: truncation and rounding both near 1e-10

class ThreadCount {
 public:
  explicit ThreadCount(int count) : before_(omp_get_max_threads()) { omp_set_num_threads(count); }
  ~ThreadCount() { omp_set_num_threads(before_); }
  ThreadCount(const ThreadCount&) = delete;
  ThreadCount& operator=(const ThreadCount&) = delete;

 private:
  int before_;
};

Doubles widen(const Tensors& tensors) {
  Doubles values;
  for (const Tensor& tensor : tensors) values.push_back(to_doubles(tensor));
  return values;
}

// dL of moving one input element from low to high, summed from differences so that it keeps its
// digits.
double loss_difference(const Doubles& high, const Doubles& low, const Doubles& grads) {
  double total = 0.0;
  for (std::size_t i = 0; i < grads.size(); ++i) {
    for (std::size_t j = 0; j < grads[i].size(); ++j)
      total += grads[i][j] * (high[i][j] - low[i][j]);
  }
  return total;
}

Doubles numeric_gradients(const OpCase& test, const Tensors& output_grads) {
  Doubles grads;
  for (const Tensor& grad : output_grads) {
    grads.push_back(grad.defined() ? to_doubles(grad) : std::vector<double>{});
  }
  Doubles inputs = widen(test.inputs);
  Doubles numeric(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!test.has_gradient[i]) continue;
    for (double& element : inputs[i]) {
      const double value = element;
      const double step = kDifferenceStep * std::max(1.0, std::abs(value));
      element = value + step;
      const Doubles high = test.reference(inputs);
      element = value - step;
      const Doubles low = test.reference(inputs);
      element = value;
      numeric[i].push_back(loss_difference(high, low, grads) / (2.0 * step));
    }
  }
  return numeric;
}

void expect_close(const Tensors& actual, const Doubles& expected, double tolerance,
                  const char* what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (!actual[i].defined()) continue;
    EXPECT_LE(relative_error(actual[i], expected[i]), tolerance) << what << " " << i;
  }
}

void check_case(const OpCase& test) {
  ASSERT_TRUE(test.forward && test.reference) << "a case needs forward and reference";
  const Doubles expected = test.reference(widen(test.inputs));
  Doubles expected_grads;
  for (const int threads : {1, 2}) {
    SCOPED_TRACE(std::to_string(threads) + " threads");
    const ThreadCount scope(threads);
    const Tensors outputs = run_forward_twice(test, test.inputs);
    expect_close(outputs, expected, test.tolerance, "output");
    if (!test.backward) continue;
    ASSERT_EQ(test.has_gradient.size(), test.inputs.size());
    const Tensors output_grads = random_output_grads(test, outputs);
    const Tensors grads = run_backward_twice(test, test.inputs, outputs, output_grads);
    ASSERT_EQ(grads.size(), test.inputs.size());
    for (std::size_t i = 0; i < grads.size(); ++i) {
      ASSERT_EQ(grads[i].defined(), test.has_gradient[i]) << "gradient " << i;
    }
    if (expected_grads.empty()) expected_grads = numeric_gradients(test, output_grads);
    expect_close(grads, expected_grads, test.gradient_tolerance, "gradient");
  }
}

class OpTest : public ::testing::TestWithParam<std::string> {};

TEST_P(OpTest, MatchesReference) {
  const std::vector<OpCase> cases = find_op(GetParam()).test_cases();
  ASSERT_FALSE(cases.empty());
  for (const OpCase& test : cases) {
    SCOPED_TRACE(test.label);
    check_case(test);
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, OpTest, ::testing::ValuesIn(op_names()),
                         [](const auto& parameter) { return parameter.param; });

TEST(RelativeError, SeesWhatItShould) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double nan = std::nan("");
  EXPECT_DOUBLE_EQ(relative_error({3.0, 4.5}, {3.0, 4.0}), 0.1);
  EXPECT_DOUBLE_EQ(relative_error({0.25}, {0.0}), 0.25);
  EXPECT_EQ(relative_error({-kInfinity, nan}, {-kInfinity, nan}), 0.0);
  EXPECT_EQ(relative_error({nan, 1.0}, {1.0, 1.0}), kInfinity);
  EXPECT_EQ(relative_error({1.0, 1.0}, {nan, 1.0}), kInfinity);
  EXPECT_EQ(relative_error({1.0}, {kInfinity}), kInfinity);
  EXPECT_THROW(relative_error({1.0}, {1.0, 2.0}), Error);
}

}  // namespace
}  // namespace slotwise::testing
