// Indices out of range are errors with a name, ops work in place, and the sums' bits do not depend
// on threads.
#include "kernels/elementwise.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <bit>
#include <cmath>
#include <string>

#include "kernels/embedding.h"
#include "kernels/rotary.h"
#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

// The message of the error that `call` throws, empty if none.
template <class Call>
std::string message_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

Tensor indices(std::int32_t value) {
  return Tensor::from<std::int32_t>({0, value, 1}, {3});
}

TEST(Indices, OutOfRangeAreErrors) {
  const Tensor table = Tensor::zeros({5, 4});
  const Tensor rows = Tensor::zeros({3, 4});
  const Sink dtable{table, true};
  for (const std::int32_t bad : {5, -1, 2147483647}) {
    const std::string got = fmt::format("0..4, got {}", bad);
    const auto expect = [&](const std::string& op, const std::string& message) {
      EXPECT_NE(message.find("[" + op + "]"), std::string::npos) << message;
      EXPECT_NE(message.find(got), std::string::npos) << message;
    };
    expect("embedding", message_of([&] {
             kernels::embedding_forward({.y = rows, .table = table, .ids = indices(bad)});
           }));
    const Tensor ids = indices(bad);
    const kernels::EmbeddingBackward backward{.dtable = dtable, .dy = rows, .ids = ids};
    expect("embedding", message_of([&] { kernels::embedding_backward(backward); }));
    expect("gather_rows", message_of([&] {
             kernels::gather_rows({.y = rows, .x = table, .rows = indices(bad)});
           }));
    expect("scatter_rows", message_of([&] {
             kernels::scatter_rows({.x = table, .y = rows, .rows = indices(bad)});
           }));
    expect("rotary", message_of([&] {
             kernels::rotary({.y = Tensor::zeros({3, 1, 8}),
                              .x = Tensor::zeros({3, 1, 8}),
                              .positions = indices(bad),
                              .cosine = table,
                              .sine = table});
           }));
  }
}

TEST(Rotary, InPlaceAndBackAgain) {
  const Tensor x = random_normal({5, 2, 20}, 1);
  const Tensor positions = random_integers({5}, 2, 7);
  Tensor cosine = Tensor::empty({7, 10}), sine = Tensor::empty({7, 10});
  for (std::int64_t i = 0; i < 70; ++i) {
    cosine.data<float>()[i] = std::cos(0.1f * static_cast<float>(i));
    sine.data<float>()[i] = std::sin(0.1f * static_cast<float>(i));
  }
  const Tensor y = Tensor::empty_like(x);
  const Tensor z = x.clone();
  kernels::rotary({.y = y, .x = x, .positions = positions, .cosine = cosine, .sine = sine});
  kernels::rotary({.y = z, .x = z, .positions = positions, .cosine = cosine, .sine = sine});
  EXPECT_EQ(z.to_vector<float>(), y.to_vector<float>());
  kernels::rotary(
      {.y = z, .x = z, .positions = positions, .cosine = cosine, .sine = sine, .inverse = true});
  EXPECT_LE(relative_error(z, to_doubles(x)), 2e-7);
}

TEST(DotProduct, BitsDoNotDependOnThreads) {
  const Tensor a = random_normal({300001}, 1);
  const Tensor b = random_normal({300001}, 2);
  const int before = omp_get_max_threads();
  std::vector<float> sums;
  for (const int threads : {1, 2, 3}) {
    omp_set_num_threads(threads);
    const Tensor out = Tensor::empty({1});
    kernels::dot_product({.out = {out, false}, .a = a, .b = b});
    sums.push_back(out.data<float>()[0]);
  }
  omp_set_num_threads(before);
  EXPECT_EQ(sums[0], sums[1]);
  EXPECT_EQ(sums[0], sums[2]);
}

// The vectorised rounding against the scalar type, on words that cover every exponent, tie and NaN.
TEST(Cast, RoundsAsBFloat16) {
  std::vector<float> values;
  for (std::uint32_t word = 0; word < 0xffff8000u; word += 0x7fffu) {
    values.push_back(std::bit_cast<float>(word));
  }
  for (std::uint32_t upper = 0; upper < 0x10000u; upper += 3) {
    for (const std::uint32_t lower : {0x0000u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      values.push_back(std::bit_cast<float>(upper << 16 | lower));
    }
  }
  const Tensor x = Tensor::from(values, {static_cast<std::int64_t>(values.size())});
  const Tensor y = Tensor::empty(x.shape(), DType::bf16);
  kernels::cast({.y = y, .x = x});
  std::size_t different = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    different += y.data<BFloat16>()[i].bits != BFloat16(x.data<float>()[i]).bits;
  }
  EXPECT_EQ(different, 0u);
}

}  // namespace
}  // namespace slotwise::testing
