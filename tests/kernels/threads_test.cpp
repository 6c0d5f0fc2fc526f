// Shapes large enough to be split: the dense kernels give the same bits with one, two and three
// threads. (Small shapes, which the finite differences of op_test.cpp need, run on one thread
// whatever the count.)
#include <gtest/gtest.h>
#include <omp.h>

#include <cstring>
#include <functional>

#include "kernels/batch_norm.h"
#include "kernels/cross_entropy.h"
#include "kernels/embedding.h"
#include "kernels/rms_norm.h"
#include "kernels/swiglu.h"
#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

void expect_same_bits(const std::function<Tensors()>& run) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  const Tensors expected = run();
  for (const int threads : {2, 3}) {
    omp_set_num_threads(threads);
    const Tensors actual = run();
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(std::memcmp(actual[i].raw(), expected[i].raw(), expected[i].bytes()), 0)
          << "output " << i << ", " << threads << " threads";
    }
  }
  omp_set_num_threads(before);
}

TEST(Threads, RmsNorm) {
  const Tensor x = random_normal({4133, 66}, 1);
  const Tensor gain = random_normal({2, 66}, 2);
  const Tensor dy = random_normal({4133, 66}, 3);
  expect_same_bits([&]() -> Tensors {
    const Tensors out{Tensor::empty_like(x), Tensor::empty({4133}), Tensor::empty_like(x),
                      Tensor::empty_like(gain)};
    kernels::rms_norm_forward(
        {.y = out[0], .sum = {}, .inverse_rms = out[1], .x = x, .residual = {}, .gain = gain});
    const kernels::RmsNormBackward backward{.dx = {out[2], false},
                                            .dgain = {out[3], false},
                                            .dy = dy,
                                            .dsum = {},
                                            .s = x,
                                            .inverse_rms = out[1],
                                            .gain = gain};
    kernels::rms_norm_backward(backward);
    return out;
  });
}

TEST(Threads, Swiglu) {
  const Tensor gate = random_normal({101, 999}, 1);
  const Tensor up = random_normal({101, 999}, 2);
  expect_same_bits([&]() -> Tensors {
    const Tensors out{Tensor::empty_like(gate), Tensor::empty_like(gate), Tensor::empty_like(gate)};
    kernels::swiglu_forward({.y = out[0], .gate = gate, .up = up});
    const kernels::SwigluBackward backward{
        .dgate = {out[1], false}, .dup = {out[2], false}, .dy = up, .gate = gate, .up = up};
    kernels::swiglu_backward(backward);
    return out;
  });
}

TEST(Threads, Embedding) {
  const Tensor table = random_normal({700, 201}, 1);
  const Tensor ids = random_integers({5003}, 2, 700);
  expect_same_bits([&]() -> Tensors {
    const Tensors out{Tensor::empty({5003, 201}), Tensor::empty_like(table)};
    kernels::embedding_forward({.y = out[0], .table = table, .ids = ids});
    const kernels::EmbeddingBackward backward{.dtable = {out[1], false}, .dy = out[0], .ids = ids};
    kernels::embedding_backward(backward);
    return out;
  });
}

TEST(Threads, CrossEntropy) {
  const Tensor logits = random_normal({101, 1003}, 1);
  const Tensor targets = random_integers({101}, 2, 1003);
  expect_same_bits([&]() -> Tensors {
    const Tensors out{Tensor::empty({101}), Tensor::empty_like(logits)};
    kernels::cross_entropy(
        {.losses = out[0], .dlogits = out[1], .logits = logits, .targets = targets});
    return out;
  });
}

TEST(Threads, BatchNorm) {
  const Tensor x = random_normal({2051, 201}, 1);
  const Tensor dy = random_normal({2051, 201}, 2);
  const Tensor gain = random_normal({201}, 3);
  expect_same_bits([&]() -> Tensors {
    Tensors out{Tensor::empty_like(x), Tensor::empty_like(x)};
    while (out.size() < 6) out.push_back(Tensor::zeros({201}));
    kernels::batch_norm_forward({.y = out[0],
                                 .mean = out[2],
                                 .inverse_std = out[3],
                                 .running_mean = out[4],
                                 .running_variance = out[5],
                                 .x = x,
                                 .gain = gain,
                                 .bias = gain,
                                 .valid = {},
                                 .training = true});
    out.push_back(Tensor::empty({201}));
    out.push_back(Tensor::empty({201}));
    const kernels::BatchNormBackward backward{.dx = {out[1], false},
                                              .dgain = {out[6], false},
                                              .dbias = {out[7], false},
                                              .dy = dy,
                                              .x = x,
                                              .gain = gain,
                                              .mean = out[2],
                                              .inverse_std = out[3],
                                              .valid = {},
                                              .training = true};
    kernels::batch_norm_backward(backward);
    return out;
  });
}

}  // namespace
}  // namespace slotwise::testing
