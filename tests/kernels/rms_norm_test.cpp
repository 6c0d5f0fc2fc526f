// RMS normalisation: optional outputs and aliases.
#include "kernels/rms_norm.h"

#include <gtest/gtest.h>

#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

struct Inputs {
  Tensor x = random_normal({70, 24}, 1);
  Tensor residual = random_normal({70, 24}, 2);
  Tensor gain = random_normal({24}, 3);
  Tensor dy = random_normal({70, 24}, 4);
  Tensor dsum = random_normal({70, 24}, 5);
};

struct Forward {
  Tensor y, inverse_rms;
};

Forward forward(const Inputs& in, const Tensor& sum) {
  const Forward out{Tensor::empty_like(in.x), Tensor::empty({70})};
  kernels::rms_norm_forward({.y = out.y,
                             .sum = sum,
                             .inverse_rms = out.inverse_rms,
                             .x = in.x,
                             .residual = in.residual,
                             .gain = in.gain});
  return out;
}

TEST(RmsNorm, TheSumMayBeLeftOutOrReplaceTheResidual) {
  const Inputs in;
  const Tensor sum = Tensor::empty_like(in.x);
  const Forward expected = forward(in, sum);
  const Forward without = forward(in, {});
  EXPECT_EQ(without.y.to_vector<float>(), expected.y.to_vector<float>());
  const Forward replacing = forward(in, in.residual);
  EXPECT_EQ(replacing.y.to_vector<float>(), expected.y.to_vector<float>());
  EXPECT_EQ(in.residual.to_vector<float>(), sum.to_vector<float>());
}

Tensor backward(const Inputs& in, const Tensor& inverse_rms, const Tensor& dx, const Tensor& dy,
                const Tensor& dsum, const Sink& dgain) {
  kernels::rms_norm_backward({.dx = {dx, false},
                              .dgain = dgain,
                              .dy = dy,
                              .dsum = dsum,
                              .s = in.x,
                              .inverse_rms = inverse_rms,
                              .gain = in.gain});
  return dx;
}

TEST(RmsNorm, TheDirectGradientMayLieInTheSink) {
  const Inputs in;
  const Tensor inverse_rms = forward(in, {}).inverse_rms;
  const Tensor apart =
      backward(in, inverse_rms, Tensor::empty_like(in.x), in.dy, in.dsum, {Tensor(), false});
  const Tensor dx = in.dsum.clone();
  backward(in, inverse_rms, dx, in.dy, dx, {Tensor(), false});
  EXPECT_EQ(dx.to_vector<float>(), apart.to_vector<float>());
}

TEST(RmsNorm, WithoutAGradientOfYOnlyTheDirectOnePasses) {
  const Inputs in;
  const Tensor inverse_rms = forward(in, {}).inverse_rms;
  const Tensor dgain = random_normal({24}, 9);
  const Tensor dx =
      backward(in, inverse_rms, Tensor::empty_like(in.x), {}, in.dsum, {dgain, false});
  EXPECT_EQ(dx.to_vector<float>(), in.dsum.to_vector<float>());
  EXPECT_EQ(dgain.to_vector<float>(), std::vector<float>(24, 0.0f));
}

TEST(RmsNorm, RefusesAGainOfAnotherSize) {
  Inputs in;
  in.gain = Tensor::zeros({23});
  EXPECT_THROW(forward(in, {}), Error);
}

}  // namespace
}  // namespace slotwise::testing
