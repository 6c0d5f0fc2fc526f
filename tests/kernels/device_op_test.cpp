// The same registrations on other devices. On a GPU, where there is one: every case against the
// CPU's result, gradients too, equal bits in two runs. On the emulated device, everywhere: the same
// path, which shows that no op and no case touches device memory from the host, and gives the CPU's
// bits.
#include <gtest/gtest.h>

#include <map>

#include "core/devices.h"
#include "kernels/attention_body.h"
#include "tests/support/op_check.h"

namespace slotwise::testing {
namespace {

// How far the CUDA body may be from the CPU's, as a multiple of the case's own tolerance (that of
// the CPU against double precision). Both round fp32 sums, each in an order of its own, so twice
// the tolerance is the least; the GPU's exponentials, roots and divisions are within 2 ulp. What is
// exact (tolerance 0, integers) stays exact.
struct Slack {
  double output = 3.0, gradient = 3.0;
};

const Slack& slack_of(const std::string& op) {
  static const Slack usual;
  static const std::map<std::string, Slack> others = {
      {"attention", {5.0, 5.0}},           // tiles of another size: another order of the maxima
      {"attention_bf16", {5e3, 1e3}},      // bf16 copies: results within 5e-3, gradients 1e-2
      {"batch_norm", {5.0, 5.0}},          // variances by another tree of sums
      {"gemm", {4.0, 4.0}},                // cuBLASLt splits long sums
      {"product_key_lookup", {5.0, 5.0}},  // the scores' error passes through an exponential
  };
  const auto found = others.find(op);
  return found == others.end() ? usual : found->second;
}

void expect_near(const Tensors& actual, const Tensors& expected, double tolerance,
                 const char* what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_EQ(actual[i].defined(), expected[i].defined()) << what << " " << i;
    if (!actual[i].defined()) continue;
    const bool exact = actual[i].dtype() != DType::f32;
    EXPECT_LE(relative_error(actual[i], to_doubles(expected[i])), exact ? 0.0 : tolerance)
        << what << " " << i;
  }
}

struct Run {
  Tensors outputs, gradients;
};

Run run_on(const OpCase& test, Device device, const Tensors& output_grads) {
  const Tensors inputs = moved_to(test.inputs, device);
  Run run;
  run.outputs = run_forward_twice(test, inputs);
  for (const Tensor& output : run.outputs) EXPECT_EQ(output.device(), device);
  if (test.backward) {
    run.gradients = run_backward_twice(test, inputs, run.outputs, moved_to(output_grads, device));
  }
  return run;
}

void check_case(const OpCase& test, Device device, const Slack& slack) {
  const Tensors output_grads = random_output_grads(test, test.forward(test.inputs));
  const Run expected = run_on(test, {}, output_grads);
  const Run actual = run_on(test, device, output_grads);
  if (device.is_cuda()) {
    expect_near(actual.outputs, expected.outputs, slack.output * test.tolerance, "output");
    expect_near(actual.gradients, expected.gradients, slack.gradient * test.gradient_tolerance,
                "gradient");
  } else {
    EXPECT_TRUE(same_bits(actual.outputs, expected.outputs));
    EXPECT_TRUE(same_bits(actual.gradients, expected.gradients));
  }
}

void check_op(const std::string& name, Device device) {
  const Op& op = find_op(name);
  for (const auto& cases : {op.test_cases, op.wide_cases}) {
    if (!cases) continue;
    for (const OpCase& test : cases()) {
      SCOPED_TRACE(test.label);
      check_case(test, device, slack_of(name));
    }
  }
}

class CudaOpTest : public ::testing::TestWithParam<std::string> {};

TEST_P(CudaOpTest, MatchesCpu) {
  if (cuda::device_count() == 0) GTEST_SKIP() << "no CUDA device";
  check_op(GetParam(), {DeviceType::cuda});
}

// Every body of attention, whatever the automatic choice is.
class CudaAttentionTest : public ::testing::TestWithParam<kernels::AttentionBody> {
 protected:
  ~CudaAttentionTest() override { kernels::set_attention_choice({}); }
};

TEST_P(CudaAttentionTest, MatchesCpu) {
  if (cuda::device_count() == 0) GTEST_SKIP() << "no CUDA device";
  const bool cudnn = GetParam() == kernels::AttentionBody::cudnn;
  if (cudnn && !kernels::cuda::cudnn_status().usable) {
    GTEST_SKIP() << kernels::cuda::cudnn_status().text;
  }
  kernels::set_attention_choice(GetParam());
  check_op("attention_bf16", {DeviceType::cuda});
  if (!cudnn) check_op("attention", {DeviceType::cuda});
}

class EmulatedOpTest : public ::testing::TestWithParam<std::string> {};

TEST_P(EmulatedOpTest, KeepsHostAndDeviceApart) {
  check_op(GetParam(), {DeviceType::emulated});
}

const auto kName = [](const auto& parameter) { return parameter.param; };
INSTANTIATE_TEST_SUITE_P(Ops, CudaOpTest, ::testing::ValuesIn(op_names()), kName);
INSTANTIATE_TEST_SUITE_P(Ops, CudaAttentionTest,
                         ::testing::Values(kernels::AttentionBody::composed,
                                           kernels::AttentionBody::blocked,
                                           kernels::AttentionBody::cudnn),
                         [](const auto& parameter) {
                           return std::string(kernels::name_of(parameter.param));
                         });
INSTANTIATE_TEST_SUITE_P(Ops, EmulatedOpTest, ::testing::ValuesIn(op_names()), kName);

}  // namespace
}  // namespace slotwise::testing
